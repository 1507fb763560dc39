"""Python's values as JSON says them. Nothing is changed on the way: what JSON cannot say is an error that names the place."""

import json
import math
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, List, Mapping, Sequence
from uuid import UUID

from ._errors import InvalidValue

_DEEPEST = 100


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def plain(value: Any, at: str = "", depth: int = 0) -> Any:
    """Also of values of numpy, pandas, polars and pyarrow, none of which is imported for it."""
    if value is None or isinstance(value, (bool, str)):
        return _text(value, at) if isinstance(value, str) else value
    if isinstance(value, Enum):
        return plain(value.value, at, depth)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value), at)
    if depth > _DEEPEST:
        raise InvalidValue(f"{_there(at)}the value nests too deep.", "Flatten it.")
    if isinstance(value, Mapping):
        return {_key(key, at): plain(part, f"{at}.{key}", depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, f"{at}[{i}]", depth + 1) for i, part in enumerate(value)]
    return _other(value, at, depth)


def missing_as_none(value: Any) -> Any:
    """pandas says in many ways that a cell is empty."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    return None if isinstance(value, float) and math.isnan(value) else value


def _other(value: Any, at: str, depth: int) -> Any:
    kind = type(value).__name__
    if kind in ("NAType", "NaTType", "MaskedConstant"):
        return None
    if kind == "datetime64":
        # In nanoseconds it would come out as a number.
        return plain(value.astype("datetime64[us]").item(), at, depth)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return _decimal(value, at)
    for method in ("tolist", "to_list", "item", "as_py"):
        convert = getattr(value, method, None)
        if callable(convert) and not isinstance(value, type):
            return plain(convert(), at, depth + 1)
    hint = {"set": "Give a list: sorted(…).", "frozenset": "Give a list: sorted(…).", "bytes": "Decode it to a text."}
    raise InvalidValue(f"{_there(at)}JSON has no form for {kind}.", hint.get(kind, "Give a number, text, bool, datetime, list, dict or None."))


def time_text(value: datetime) -> str:
    """With microseconds; a time without a zone stays one, and the server says so with its row."""
    if value.tzinfo is None:
        return datetime.isoformat(value.replace(fold=0), timespec="microseconds")[:26]
    moment = value.astimezone(timezone.utc)
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}.{moment.microsecond:06}Z"


def _decimal(value: Decimal, at: str) -> Any:
    if not value.is_finite():
        raise InvalidValue(f"{_there(at)}{value} cannot be stored.", "Give None when nothing is known.")
    if value == value.to_integral_value() and abs(value) < Decimal(10) ** 100:
        return int(value)
    number = float(value)
    if Decimal(repr(number)) == value:
        return number
    raise InvalidValue(f"{_there(at)}{value} is not exact as a float.", "Round it: float(value); or send it as a text: str(value).")


def _finite(value: float, at: str) -> float:
    if math.isfinite(value):
        return value
    raise InvalidValue(f"{_there(at)}{value} cannot be stored.", "Give None when nothing is known.")


def _text(value: str, at: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidValue(f"{_there(at)}the text holds half of a character (a lone surrogate).", "Cut texts between characters.") from None
    return str(value)


def _key(key: Any, at: str) -> str:
    if isinstance(key, str):
        return _text(key, at)
    raise InvalidValue(f"{_there(at)}the key {key!r} is no text.", "Keys of dicts are texts: str(key).")


def _there(at: str) -> str:
    return f"{at.lstrip('.')}: " if at else ""


def plain_list(values: Sequence[Any], at: str) -> List[Any]:
    return [plain(missing_as_none(value), at) for value in values]
