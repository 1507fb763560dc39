"""Options as plain data: JSON, and what stands for what JSON cannot say."""

import datetime
import decimal
import math
import uuid
from typing import Any, Dict, Mapping, Optional, Tuple

from ._definitions import Column, definition_of
from ._times import time_text

Json = Any
#: Deeper options are nobody's intention, and may contain themselves.
_MAX_DEPTH = 20

TYPES: Dict[Any, str] = {
    int: "int",
    float: "float",
    str: "string",
    bool: "bool",
    list: "list",
    dict: "dict",
    datetime.datetime: "timestamp",
    uuid.UUID: "uuid",
    Any: "json",
    object: "json",
}
_MICROSECOND = datetime.timedelta(microseconds=1)
_FORTYPES = ("type", "columns", "inputs", "key")


def raw(value: Any, depth: int = 0) -> Json:
    """An option as JSON; what JSON cannot say is sent as how it looks."""
    definition = definition_of(value)
    if definition is not None:
        return {"$ref": definition._id}
    if isinstance(value, Column):
        return {"$column": {"ref": value._feature._id, "column": raw(value._column)}}
    if value is None or isinstance(value, (bool, str)):
        return value if value is None or isinstance(value, bool) else _text(value)
    if isinstance(value, datetime.timedelta):
        return {"$micros": value // _MICROSECOND}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return float(value)
    if isinstance(value, datetime.datetime) and value.utcoffset() is not None:
        return time_text(value)
    if isinstance(value, (list, tuple)) and depth < _MAX_DEPTH:
        return [raw(one, depth + 1) for one in value]
    if isinstance(value, Mapping) and depth < _MAX_DEPTH and all(isinstance(key, str) for key in value):
        found = {_text(key): raw(one, depth + 1) for key, one in value.items()}
        return {"$obj": found} if next(iter(found), "").startswith("$") else found
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, type) and getattr(value, "ndim", None) == 0:
        return raw(item(), depth + 1)
    return {"$shown": shown(value), "$type": type(value).__name__}


def option(name: str, value: Any) -> Json:
    if name not in _FORTYPES:
        return raw(value)
    if name == "type":
        return _type(value, True)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {_text(key): _type(one, name == "columns") for key, one in value.items()}
    return raw(value)


def _type(value: Any, whole: bool) -> Json:
    """
    `float`, `list[str]`, `"float"`.

    :param whole: Also what a list or dict holds.
    """
    if isinstance(value, str):
        return raw(value)
    name = _type_name(value, 0)
    if name is None:
        return raw(value)
    return name if whole else name.split("[")[0]


def _type_name(value: Any, depth: int) -> Optional[str]:
    try:
        name = TYPES.get(value)
    except TypeError:
        return None
    if name is not None or depth > _MAX_DEPTH:
        return name
    origin = getattr(value, "__origin__", None)
    inside: Tuple[Any, ...] = getattr(value, "__args__", ())
    if origin not in (list, dict):
        return None
    held = _type_name(inside[-1], depth + 1) if len(inside) == (1 if origin is list else 2) else None
    if held is None or held == "uuid" or (origin is dict and inside[0] is not str):
        return TYPES[origin]
    return f"list[{held}]" if origin is list else f"dict[string, {held}]"


def shown(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value):
        return f"the function {getattr(value, '__name__', 'without a name')}"
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:60] + "…"


def _text(value: str) -> str:
    return str(value) if type(value) is str else str.__str__(value)
