"""A Feast store of one feature view: as many features and users as the other side has, written to the Redis given.

Usage: python feast_repo.py <folder> <redis host:port> <features> <users>
"""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

folder, redis, features, users = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
folder.joinpath("feature_store.yaml").write_text(
    f"""project: bench
provider: local
registry: {folder}/registry.db
entity_key_serialization_version: 3
online_store:
  type: redis
  connection_string: {redis}
"""
)
names = [f"score_{i:02}" for i in range(features)]
now = datetime.now(timezone.utc)
rows = pd.DataFrame({"user_id": [f"u{i}" for i in range(users)], "event_timestamp": now, "created": now})
for i, name in enumerate(names):
    rows[name] = [i + user / 8 for user in range(users)]
rows.to_parquet(folder / "scores.parquet")

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
view = FeatureView(
    name="scores",
    entities=[user],
    ttl=timedelta(days=1),
    schema=[Field(name=name, dtype=Float64) for name in names],
    source=FileSource(path=str(folder / "scores.parquet"), timestamp_field="event_timestamp", created_timestamp_column="created"),
)
store = FeatureStore(repo_path=str(folder))
store.apply([user, view])
store.write_to_online_store("scores", rows)
