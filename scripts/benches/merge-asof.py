"""The training set of recorded values as one writes it with pandas: `merge-asof.py history.parquet 20`."""
import sys

import pandas as pd

labels = pd.read_parquet("labels.parquet")
history = pd.read_parquet(sys.argv[1]).sort_values("event_timestamp")
by_feature = dict(tuple(history.groupby("feature", sort=False)))
labels["row"] = range(len(labels))
joined = labels.sort_values("event_timestamp")
for number in range(int(sys.argv[2])):
    name = f"f{number}"
    values = by_feature[name][["user_id", "event_timestamp", "value"]].rename(columns={"value": name})
    joined = pd.merge_asof(joined, values, on="event_timestamp", by="user_id")
joined.sort_values("row").drop(columns="row").to_parquet("merged.parquet")
