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


if os.environ.get("FABRA_WORKER"):
    with standard_library_only():
        import ast  # noqa: F401
        import contextvars  # noqa: F401
        import datetime  # noqa: F401
        import decimal  # noqa: F401
        import enum  # noqa: F401
        import faulthandler  # noqa: F401
        import importlib.util  # noqa: F401
        import inspect  # noqa: F401
        import io  # noqa: F401
        import itertools  # noqa: F401
        import json  # noqa: F401
        import linecache  # noqa: F401
        import math  # noqa: F401
        import mmap  # noqa: F401
        import re  # noqa: F401
        import select  # noqa: F401
        import signal  # noqa: F401
        import socket  # noqa: F401
        import struct  # noqa: F401
        import sysconfig  # noqa: F401
        import threading  # noqa: F401
        import tokenize  # noqa: F401
        import traceback  # noqa: F401
        import types  # noqa: F401
        import uuid  # noqa: F401
        import weakref  # noqa: F401
        from collections import deque  # noqa: F401
