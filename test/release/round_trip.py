"""
Serves a features file by a command, and does with the client what people do first: read, batch, push, append, train, forget.

    python round_trip.py FOLDER COMMAND…    # such as: bin/fabra, or uvx … fabra

Needs nothing but the wheel: neither pandas nor pyarrow.
"""

import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import List

from fabra import Client, UnknownFeature

FEATURES = '''
from datetime import timedelta
from fabra import db, entity, feature, feature_set, pushed, source

@entity
class User:
    user_id: str

source("events", timestamp="created_at", file="events.csv")

visits = feature(entity=User, refresh="5m", type=int, sql="SELECT COUNT(*) FROM events WHERE user_id = $user_id")

@feature(entity=User, refresh=timedelta(seconds=0))
def doubled(user_id: str) -> int:
    return 2 * db.fetchval("SELECT COUNT(*) FROM events WHERE user_id = %s", user_id)

score = pushed(entity=User, type=float)
all_of_them = feature_set("all_of_them", [visits, doubled, score])
'''
START_SECONDS = 120


def main() -> None:
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.py").write_text(FEATURES)
    (folder / "events.csv").write_text("user_id,created_at\nu1,2026-01-01T00:00:00Z\nu1,2026-01-02T00:00:00Z\n")
    server = subprocess.Popen([*command, "serve", "features.py", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(START_SECONDS, server.kill)
    watchdog.start()
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1:]
        if not address:
            raise SystemExit(f"{' '.join(command)} serve said nothing.")
        watchdog.cancel()
        print(" ".join(round_trip(address[0])))
    finally:
        watchdog.cancel()
        server.terminate()
        server.wait()


def round_trip(address: str) -> List[str]:
    done = []
    now = datetime.now(timezone.utc)
    with Client(address, timeout=60) as fabra:
        expect("read", fabra.feature("visits", "u1").value, 2)
        done.append("read")
        rows = fabra.features(feature_set="all_of_them", rows=["u1", {"user_id": "u2"}]).raise_for_errors()
        expect("batch", rows.to_dicts(), [{"user_id": "u1", "visits": 2, "doubled": 4, "score": None}, {"user_id": "u2", "visits": 0, "doubled": 0, "score": None}])
        done.append("batch")
        expect("push", fabra.push("score", [{"user_id": "u1", "value": 0.25}]).accepted, 1)
        expect("pushed", fabra.feature("score", "u1").value, 0.25)
        done.append("push")
        expect("append", fabra.append("events", [{"user_id": "u1", "created_at": now - timedelta(seconds=1)}]).accepted, 1)
        expect("appended", fabra.feature("doubled", "u1").value, 6)
        done.append("append")
        labels = [{"user_id": "u1", "event_timestamp": datetime(2026, 1, 1, 12, tzinfo=timezone.utc), "label": 1}]
        train = fabra.training_set(labels, "visits", progress=False)
        expect("train", (len(train), train.report["features"][0]["method"], train.save("train.arrow").stat().st_size > 0), (1, "recompute", True))
        Path("train.arrow").unlink()
        done.append("train")
        fabra.forget("User", "u1")
        expect("forgotten", fabra.feature("score", "u1").status, "missing")
        done.append("forget")
        try:
            fabra.feature("visit", "u1")
        except UnknownFeature as error:
            expect("hint", error.hint, 'Did you mean "visits"?')
    return done


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise SystemExit(f"{what}: {found!r} is not {wanted!r}.")


if __name__ == "__main__":
    main()
