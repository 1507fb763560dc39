"""What holds values: lists, arrays, Series, dicts, models. Libraries are known by what their objects can do; none is imported."""

import collections.abc
import datetime
from collections.abc import Mapping
from typing import Any, List, Optional, Tuple

from ._times import UTC


def unwrapped(value: Any) -> Any:
    """A scalar of numpy or pyarrow as Python's own; anything else as it is."""
    kind = type(value)
    if isinstance(value, (datetime.date, datetime.timedelta, bytes, bytearray, list, tuple, dict, set, frozenset)):
        return value
    if kind.__name__ == "datetime64" and hasattr(value, "astype"):
        moment = value.astype("datetime64[us]").item()
        # numpy's times have no zone of their own, and are of UTC by its documentation.
        return moment.replace(tzinfo=UTC) if isinstance(moment, datetime.datetime) else moment
    if kind.__name__ == "timedelta64":
        return value
    # Arrays and Series have item(), too: only what has no dimensions is a scalar.
    if callable(getattr(kind, "item", None)) and getattr(value, "ndim", None) == 0:
        return value.item()
    if callable(getattr(kind, "as_py", None)):
        return value.as_py()
    return value


def sequence_items(value: Any) -> Optional[List[Any]]:
    """The elements of a list, tuple, array, Series; None for what is none of these."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping, set, frozenset, type)) or is_frame(value):
        return None
    kind = type(value)
    dtype = getattr(value, "dtype", None)
    if getattr(dtype, "kind", "") == "M" and kind.__name__ == "ndarray":
        moments = value.astype("datetime64[us]").tolist()
        return _with_zone(moments) if isinstance(moments, list) else None
    if callable(getattr(kind, "tolist", None)):
        items = value.tolist()
        return items if isinstance(items, list) else None
    if callable(getattr(kind, "to_list", None)):
        items = value.to_list()
        return items if isinstance(items, list) else None
    if callable(getattr(kind, "to_pylist", None)):
        items = value.to_pylist()
        return items if isinstance(items, list) else None
    return None


def _with_zone(items: List[Any]) -> List[Any]:
    return [
        _with_zone(one) if isinstance(one, list) else one.replace(tzinfo=UTC) if isinstance(one, datetime.datetime) else one for one in items
    ]


def mapping_pairs(value: Any) -> Optional[List[Tuple[Any, Any]]]:
    """Names and values of a dict, dataclass or pydantic model; None for what is none of these."""
    if isinstance(value, collections.abc.Mapping):
        return list(value.items())
    if isinstance(value, type):
        return None
    fields = getattr(type(value), "__dataclass_fields__", None)
    if isinstance(fields, dict):
        import dataclasses

        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if callable(getattr(type(value), "model_dump", None)):
        return list(value.model_dump().items())
    if hasattr(type(value), "__fields__") and callable(getattr(type(value), "dict", None)):
        return list(value.dict().items())
    return None


def is_frame(value: Any) -> bool:
    """A table of pandas, polars or pyarrow."""
    kind = type(value)
    return any(callable(getattr(kind, name, None)) for name in ("to_dict", "to_dicts", "to_pylist")) and (
        hasattr(value, "columns") and hasattr(value, "shape") and getattr(value, "ndim", 2) != 1
    )
