"""
Values that functions return, as the JSON texts that are stored. Nothing is coerced or dropped. Arrays and scalars of numpy, pandas, polars
and pyarrow are known by what they can do: none of these is imported here.
"""

import datetime
import decimal
import inspect
import json
import math
from typing import Any, Dict, List, Optional

from ._containers import mapping_pairs
from ._errors import FabraError
from ._plain import MAX_DEPTH, MAX_PARTS, Plain
from ._refusals import ADD_ZONE, hint_for, shown, too_large, wrong, wrong_type
from ._times import time_text

#: Bytes of a value's JSON text; the server's own limit comes with `load`.
DEFAULT_MAX_BYTES = 64 * 1024
_INT64 = 2**63

_write = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False, ensure_ascii=True).encode


def encode(type_name: str, value: Any, nan: str = "error", max_bytes: int = DEFAULT_MAX_BYTES) -> str:
    """
    The value as JSON text.

    :param nan: `null` makes NaN and the infinities null.
    :raises FabraError: wrong_type or value_too_large; the message begins with "expected", for the server to put feature and key before it.
    """
    kind = type(value)
    # Nearly all values are of these.
    if kind is int and type_name == "int" and -_INT64 <= value < _INT64:
        return repr(value)
    if kind is float and type_name == "float" and value - value == 0.0:
        return repr(value)
    if kind is bool and type_name == "bool":
        return "true" if value else "false"
    if value is None:
        return "null"
    if kind is str and type_name == "string" and value.isascii():
        text = _write(value)
    elif _holds(type_name, kind) and _is_plain(value, 0, [MAX_PARTS]):
        text = _write(value)
    else:
        text = _encode(type_name, value, Plain(nan, type_name))
    if len(text) > max_bytes and _utf8_length(text) > max_bytes:
        raise too_large(str(_utf8_length(text)), max_bytes)
    return text


def _holds(type_name: str, kind: type) -> bool:
    return (kind is dict and type_name in ("dict", "json")) or (kind is list and type_name in ("list", "json"))


def _is_plain(value: Any, depth: int, room: List[int]) -> bool:
    """Whether JSON can say the value as it is; nearly always, and quicker to see than to make a copy. `room` is for so many parts more."""
    kind = type(value)
    if kind is str:
        return value.isascii()  # type: ignore[no-any-return]
    if kind is float:
        return value - value == 0.0  # type: ignore[no-any-return]
    if value is None or kind is bool:
        return True
    if kind is int:
        return -_INT64 <= value < _INT64  # type: ignore[no-any-return]
    if depth >= MAX_DEPTH:
        return False
    if kind is not list and kind is not dict:
        return False
    room[0] -= len(value)
    if room[0] < 0:
        return False
    if kind is list:
        return all(_is_plain(item, depth + 1, room) for item in value)
    return all(type(key) is str and key.isascii() and _is_plain(item, depth + 1, room) for key, item in value.items())


def _encode(type_name: str, value: Any, plain: "Plain") -> str:
    value = plain.scalar(value, "")
    if value is None:
        return "null"
    if type_name == "int":
        return _int_text(value)
    if type_name == "float":
        return _float_text(value)
    if type_name == "bool":
        if not isinstance(value, bool):
            raise wrong_type(type_name, value)
        return "true" if value else "false"
    if type_name == "string":
        if not isinstance(value, str):
            raise wrong_type(type_name, value, "Write str(value)." if isinstance(value, (int, float, decimal.Decimal)) else None)
        return _write(plain.text(value, ""))
    if type_name == "timestamp":
        return _time_text(value)
    made = plain.tree(value, "", 0)
    if made is None:
        return "null"
    if type_name == "list" and not isinstance(made, list):
        raise wrong_type(type_name, value)
    if type_name == "dict" and not isinstance(made, dict):
        raise wrong_type(type_name, value)
    try:
        return _write(made)
    except ValueError as error:
        # Python refuses to write whole numbers of more than 4,300 digits.
        raise wrong("expected JSON, got a whole number of thousands of digits.", "Give it as a text.") from error


def _int_text(value: Any) -> str:
    if isinstance(value, decimal.Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        hint = "Round it, or declare the type float." if isinstance(value, (float, decimal.Decimal)) else None
        raise wrong_type("int", value, hint)
    if not -_INT64 <= value < _INT64:
        raise wrong(f"expected int, got {shown(value)}, which is outside 64 bits.", "Leave the annotation out (json) for longer numbers.")
    return repr(int(value))


def _float_text(value: Any) -> str:
    if isinstance(value, bool):
        raise wrong_type("float", value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int) or (isinstance(value, decimal.Decimal) and value.is_finite()):
        number = _to_float(value)
        whole = isinstance(value, int) or value == value.to_integral_value()
        # Digits after the point are rounded as anywhere; a whole number that changes was an id or money.
        if number is None or (whole and int(number) != value):
            raise wrong(f"expected float, got {shown(value)}, which is not exact as a float.", "Declare the type int.")
        return repr(number)
    raise wrong_type("float", value)


def _to_float(value: Any) -> Optional[float]:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _time_text(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        if value.utcoffset() is None:
            raise wrong(f"expected timestamp, got {value.isoformat()} without a time zone.", ADD_ZONE)
        return f'"{time_text(value)}"'
    if isinstance(value, str):
        # The server reads it, and says what is wrong with it.
        return _write(value)
    hint = "Write datetime(d.year, d.month, d.day, tzinfo=timezone.utc)." if isinstance(value, datetime.date) else None
    raise wrong_type("timestamp", value, hint)


def encode_columns(columns: List[Dict[str, Any]], value: Any, nan: str, max_bytes: int) -> List[str]:
    """One text per column of what a function returned."""
    if len(columns) == 1 and columns[0]["name"] is None:
        return [encode(columns[0]["type"] or "json", value, nan, max_bytes)]
    names = ", ".join(column["name"] for column in columns)
    if type(value).__name__ == "Pending":
        value._told = True
        raise wrong_type(f"a dict with {names}", value)
    pairs = mapping_pairs(value)
    if pairs is None:
        if getattr(value, "ndim", None) == 1 and hasattr(value, "index") and callable(getattr(value, "to_dict", None)):
            pairs = list(value.to_dict().items())
        else:
            hint = hint_for(value) if inspect.isawaitable(value) else None
            raise wrong(f"expected a dict with {names}, got {shown(value)}.", hint or "Return a dict with one entry per declared column.")
    given = {name: part for name, part in pairs if isinstance(name, str)}
    texts: List[str] = []
    for column in columns:
        name = column["name"]
        if name not in given:
            raise wrong(f'the dict it returned has no "{name}".', f"Return {names}; None where nothing is known.")
        try:
            texts.append(encode(column["type"] or "json", given[name], nan, max_bytes))
        except FabraError as error:
            raise FabraError(error.code, f'column "{name}": {error.message}', error.hint) from error
    if len(pairs) > len(columns):
        wanted = {column["name"] for column in columns}
        extra = next(name for name, _ in pairs if name not in wanted)
        named = f'"{extra}"' if isinstance(extra, str) else shown(extra)
        raise wrong(f"the dict it returned has {named}, which is no column of the feature.", f"Declare it under columns, or return {names} alone.")
    return texts


def _utf8_length(text: str) -> int:
    """Of the text as the server writes it, where letters outside ASCII are no escapes."""
    return len(text) if "\\u" not in text else len(json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).encode())
