"""Imported first. A worker must not find a project's `queue.py` where it wants the standard library's."""

import os
import sys
from contextlib import contextmanager
from typing import Iterator, List

_STANDARD = os.path.dirname(os.path.realpath(os.__file__))


def _is_standard(path: str) -> bool:
    real = os.path.realpath(path) if path else ""
    return real == _STANDARD or os.path.basename(real) == "lib-dynload" or (real.endswith(".zip") and "python3" in os.path.basename(real))


@contextmanager
def standard_library_only() -> Iterator[None]:
    """What is imported meanwhile comes from the interpreter's own library and from this package."""
    before: List[str] = sys.path[:]
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [own] + [path for path in before if _is_standard(path)]
    try:
        yield
    finally:
        sys.path[:] = before


def take_over() -> None:
    """In a worker: forget the current folder, which `python -c` puts before the standard library, and import what is needed later."""
    sys.path[:] = [path for path in sys.path if path != ""]
    with standard_library_only():
        import dataclasses  # noqa: F401
        import linecache  # noqa: F401
        import select  # noqa: F401
        import traceback  # noqa: F401

        if sys.platform != "win32":
            import resource  # noqa: F401

        from . import _worker  # noqa: F401
