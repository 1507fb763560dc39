"""
A training set by the client into pandas, measured: FABRA_URL serves, labels.parquet lies in the folder, the arguments name the features.

Prints seconds of the call (the labels are a DataFrame, and so is what comes), bytes of that table, and by how much memory grew meanwhile at most.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow  # noqa: F401  (so that importing it is not measured)

from fabra import Client


def memory(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    labels = pd.read_parquet("labels.parquet")
    with Client(timeout=600) as fabra:
        fabra.catalogue()
        # What the process held at most begins again here: https://www.kernel.org/doc/html/latest/filesystems/proc.html
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")
        started = time.perf_counter()
        train = fabra.training_set(labels, sys.argv[1:], progress=False)
        frame = train.to_pandas()
        seconds = time.perf_counter() - started
        grown = memory("VmHWM") - before
    table = int(frame.memory_usage(index=True, deep=True).sum())
    print(json.dumps({"rows": len(frame), "columns": len(frame.columns), "seconds": seconds, "table": table, "grown": grown}))


if __name__ == "__main__":
    main()
