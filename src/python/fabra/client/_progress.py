"""A bar for what takes long: tqdm's, where that is installed and somebody looks."""

import sys
from importlib import import_module
from typing import Any, Optional


class Progress:
    """Counts without showing anything."""

    def to(self, done: float) -> None: ...

    def close(self) -> None: ...


class _Bar(Progress):
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def to(self, done: float) -> None:
        if done > self._bar.n:
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def progress_of(what: str, total: float, unit: str, wanted: Optional[bool]) -> Progress:
    """`wanted` None: on a terminal and in notebooks."""
    if wanted is False or (wanted is None and not (sys.stderr.isatty() or "ipykernel" in sys.modules)):
        return Progress()
    try:
        tqdm = import_module("tqdm.auto")
    except ImportError:
        return Progress()
    return _Bar(tqdm.tqdm(desc=what, total=total, unit=unit, leave=False))
