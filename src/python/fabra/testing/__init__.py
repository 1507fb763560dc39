"""
Unit tests of features, without a server:

    from fabra.testing import store
    with store("features.py") as features:
        at = features.at("2026-01-02T00:00Z").given({"transactions": [{"user_id": "u1", ...}]})
        at.expect("transaction_count_1h", "u1").to_be(1)
        assert at.value("spend.avg_30d", "u1") == 9.5

With pytest, the fixture `fabra_store` is such a store over the features beside the test. The executable computes what serving would, in memory.
"""

import atexit
import json
import os
import shutil
import subprocess
import tempfile
import threading
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Iterator, List, Mapping, Optional, Sequence, Union

from .._errors import FabraError

# The client is loaded when a test asks: pytest loads the plugin of everybody who has fabra.
if TYPE_CHECKING:
    from ..client._rows import Rows

__all__ = ["Expectation", "FabraError", "Moment", "Store", "store"]

#: The value of a key: one text or number, or all key columns by name or in their order.
Key = Union[str, int, Sequence[Any], Mapping[str, Any]]
#: A computation may take half a minute, and a store is opened before the first.
_DEADLINE_S = 180.0


def store(*files: "str | os.PathLike[str]") -> "Store":
    """A store of these definition files; of features.ts and features.py of the current folder where none are named."""
    return Store([os.fspath(file) for file in files])


class Store:
    """Features whose sources have the rows of a test. Ends with the process, or when it is closed."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = list(files)
        self._lock = threading.Lock()
        self._process: "Optional[subprocess.Popen[bytes]]" = None
        self._stderr: Optional[IO[bytes]] = None

    def at(self, time: "str | datetime") -> "Moment":
        """The time that stands still: RFC 3339 with a zone, or a datetime with one."""
        if isinstance(time, datetime):
            if time.tzinfo is None:
                raise FabraError("invalid_time", f"{time} has no time zone.", "Write datetime(2026, 1, 2, tzinfo=timezone.utc).")
            time = time.isoformat()
        return Moment(self, time, {})

    def close(self) -> None:
        with self._lock:
            self._end()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: Mapping[str, Any]) -> Any:
        __tracebackhide__ = True
        line = json.dumps(question, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            process = self._process or self._start()
            if process.stdin is None or process.stdout is None:
                raise FabraError("internal", "The executable has no pipes.")
            late = threading.Timer(_DEADLINE_S, process.kill)
            late.start()
            try:
                process.stdin.write(line)
                process.stdin.flush()
                answer = process.stdout.readline()
            except OSError:
                answer = b""
            finally:
                late.cancel()
            if not answer.endswith(b"\n"):
                raise self._gone(process)
        reply = json.loads(answer)
        if "error" in reply:
            error = reply["error"]
            raise FabraError(error["code"], error["message"], error["hint"])
        return reply["value"]

    def _start(self) -> "subprocess.Popen[bytes]":
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [_program(), "test", "--serve", *self._files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
        )
        atexit.register(self.close)
        return self._process

    def _gone(self, process: "subprocess.Popen[bytes]") -> FabraError:
        code = process.wait()
        stderr = self._stderr
        if stderr is not None:
            stderr.seek(0)
        words = "" if stderr is None else stderr.read().decode(errors="replace").strip()
        self._end()
        return FabraError("io_failed", f"fabra test ended with {code} and gave no answer.\n{words}")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.close)
        for pipe in (process.stdin, process.stdout, self._stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Moment:
    """A time, and rows that sources have then."""

    def __init__(self, owner: Store, at: str, given: Mapping[str, List[Any]]) -> None:
        self._store = owner
        self._at = at
        self._given = given

    def given(self, sources: "Optional[Mapping[str, Rows]]" = None, **more: "Rows") -> "Moment":
        """Rows by source: dicts, or a DataFrame. Sources that are never given are empty."""
        rows = {name: _rows(data) for name, data in {**(sources or {}), **more}.items()}
        return Moment(self._store, self._at, {**self._given, **rows})

    def value(self, feature: str, key: Key, inputs: Optional[Mapping[str, Any]] = None) -> Any:
        """What serving would answer."""
        __tracebackhide__ = True
        from ..client._plain import plain

        question = {"at": self._at, "given": self._given, "feature": feature, "key": plain(key), "inputs": plain(dict(inputs or {}))}
        return self._store._ask(question)

    def expect(self, feature: str, key: Key, inputs: Optional[Mapping[str, Any]] = None) -> "Expectation":
        __tracebackhide__ = True
        return Expectation(self.value(feature, key, inputs), f"{feature} of {key!r} at {self._at}")


class Expectation:
    """What came, to be compared."""

    def __init__(self, value: Any, what: str) -> None:
        self.value = value
        self._what = what

    def to_be(self, expected: Any) -> None:
        from ..client._plain import plain

        __tracebackhide__ = True
        wanted = plain(expected)
        if self.value != wanted or _kinds(self.value) != _kinds(wanted):
            raise AssertionError(f"{self._what}\n  expected {wanted!r}\n  came     {self.value!r}")


def _kinds(value: Any) -> Any:
    """True is not 1, though Python says so."""
    return isinstance(value, bool) if not isinstance(value, list) else [_kinds(one) for one in value]


def _rows(data: "Rows") -> List[Any]:
    from ..client._rows import rows_of

    return list(rows_of(data))


def _program() -> str:
    for place in _places():
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    raise FabraError("io_failed", "The executable fabra is not where installers put it, and not on PATH.", "Install fabra again.")


def _places() -> Iterator[str]:
    from ..__main__ import places

    for folder in places():
        yield os.path.join(folder, "fabra")
    on_path = shutil.which("fabra")
    if on_path is not None:
        yield on_path
