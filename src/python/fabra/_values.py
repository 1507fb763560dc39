"""
Values that functions return, as the JSON texts that are stored. Nothing is coerced or dropped. Arrays and scalars of numpy, pandas, polars
and pyarrow are known by what they can do: none of these is imported here.
"""

import collections.abc
import datetime
import decimal
import enum
import inspect
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any, Callable, Dict, List, Optional, Tuple

from ._errors import FabraError
from ._times import EPOCH, UTC, micros_text, time_text, to_micros

#: Levels of lists and dicts; the server has the same limit.
MAX_DEPTH = 32
#: Bytes of a value's JSON text; the server's own limit comes with `load`.
DEFAULT_MAX_BYTES = 64 * 1024
#: A value of so many parts is too long in any case, and must not take seconds to find that out.
_MAX_PARTS = 100_000
_INT64 = 2**63
_NULL_TYPES = ("NAType", "NaTType", "MaskedConstant")

_write = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False, ensure_ascii=True).encode

_HINTS = {
    "int": "Return an int, or None when nothing is known.",
    "float": "Return a float, or None when nothing is known.",
    "string": "Return a str, or None when nothing is known.",
    "bool": "Return a bool, or None when nothing is known.",
    "timestamp": "Return a datetime with a time zone, or None when nothing is known.",
    "list": "Return a list, or None when nothing is known.",
    "dict": "Return a dict, or None when nothing is known.",
    "json": "Return something JSON can say, or None when nothing is known.",
}
_ADD_ZONE = "Add the zone: datetime.now(timezone.utc), or value.replace(tzinfo=timezone.utc)."


def wrong(message: str, hint: str) -> FabraError:
    return FabraError("wrong_type", message, hint)


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
    elif _holds(type_name, kind) and _is_plain(value, 0, [_MAX_PARTS]):
        text = _write(value)
    else:
        text = _encode(type_name, value, _Plain(nan, type_name))
    if len(text) > max_bytes and _utf8_length(text) > max_bytes:
        raise _too_large(str(_utf8_length(text)), max_bytes)
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


def _encode(type_name: str, value: Any, plain: "_Plain") -> str:
    value = plain.scalar(value, "")
    if value is None:
        return "null"
    if type_name == "int":
        return _int_text(value)
    if type_name == "float":
        return _float_text(value)
    if type_name == "bool":
        if not isinstance(value, bool):
            raise _wrong_type(type_name, value)
        return "true" if value else "false"
    if type_name == "string":
        if not isinstance(value, str):
            raise _wrong_type(type_name, value, "Write str(value)." if isinstance(value, (int, float, decimal.Decimal)) else None)
        return _write(plain.text(value, ""))
    if type_name == "timestamp":
        return _time_text(value)
    made = plain.tree(value, "", 0)
    if made is None:
        return "null"
    if type_name == "list" and not isinstance(made, list):
        raise _wrong_type(type_name, value)
    if type_name == "dict" and not isinstance(made, dict):
        raise _wrong_type(type_name, value)
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
        raise _wrong_type("int", value, hint)
    if not -_INT64 <= value < _INT64:
        raise wrong(f"expected int, got {shown(value)}, which is outside 64 bits.", "Leave the annotation out (json) for longer numbers.")
    return repr(int(value))


def _float_text(value: Any) -> str:
    if isinstance(value, bool):
        raise _wrong_type("float", value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int) or (isinstance(value, decimal.Decimal) and value.is_finite()):
        number = _to_float(value)
        whole = isinstance(value, int) or value == value.to_integral_value()
        # Digits after the point are rounded as anywhere; a whole number that changes was an id or money.
        if number is None or (whole and int(number) != value):
            raise wrong(f"expected float, got {shown(value)}, which is not exact as a float.", "Declare the type int.")
        return repr(number)
    raise _wrong_type("float", value)


def _to_float(value: Any) -> Optional[float]:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _time_text(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        if value.utcoffset() is None:
            raise wrong(f"expected timestamp, got {value.isoformat()} without a time zone.", _ADD_ZONE)
        return f'"{time_text(value)}"'
    if isinstance(value, str):
        # The server reads it, and says what is wrong with it.
        return _write(value)
    hint = "Write datetime(d.year, d.month, d.day, tzinfo=timezone.utc)." if isinstance(value, datetime.date) else None
    raise _wrong_type("timestamp", value, hint)


class _Plain:
    """Makes what JSON can say of what Python's libraries hold."""

    def __init__(self, nan: str, type_name: str = "json") -> None:
        self._nan_is_null = nan == "null"
        self._expected = type_name if type_name in ("list", "dict") else "JSON"
        self._parts = 0
        self._above: List[int] = []

    def scalar(self, value: Any, path: str) -> Any:
        """Takes one value out of what wraps it: a numpy scalar, an Enum, a pyarrow scalar. Containers stay what they are."""
        for _ in range(4):
            kind = type(value)
            if kind.__name__ == "Pending":
                value._told = True
                raise _wrong_type("a value", value, None, path)
            if kind in (int, str, bool) or value is None:
                return value
            if isinstance(value, enum.Enum):
                value = value.value
                continue
            if kind.__name__ in _NULL_TYPES:
                return None
            if isinstance(value, float):
                return self._float(value, path)
            if isinstance(value, decimal.Decimal):
                return self._decimal(value, path)
            if isinstance(value, (int, str)):
                return int(value) if isinstance(value, int) else str.__str__(value)
            if isinstance(value, uuid.UUID):
                return str(value)
            inner = _unwrapped(value)
            if inner is value:
                return value
            value = inner
        return value

    def _float(self, value: float, path: str) -> Optional[float]:
        if math.isfinite(value):
            return float(value)
        if self._nan_is_null:
            return None
        hint = 'Return None when nothing is known, or say nan="null" in the options of the feature.'
        raise wrong(f"expected a number, got {float(value)}{_at(path)}.", hint)

    def _decimal(self, value: decimal.Decimal, path: str) -> Optional[decimal.Decimal]:
        if value.is_finite():
            return value
        if self._nan_is_null:
            return None
        raise wrong(f"expected a number, got Decimal('{value}'){_at(path)}.", "Return None when nothing is known.")

    def text(self, value: str, path: str) -> str:
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError as error:
            hint = 'Cut texts between characters, or use value.encode("utf-8", "replace").decode().'
            raise wrong(f"expected valid Unicode, got a string with a lone surrogate{_at(path)}.", hint) from error
        return value

    def tree(self, value: Any, path: str, depth: int) -> Any:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise FabraError("value_too_large", "expected a value of at most 64 KiB of JSON, got far more.", _LARGE_HINT)
        value = self.scalar(value, path)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, decimal.Decimal):
            return int(value) if value == value.to_integral_value() and abs(value.adjusted()) < 1000 else float(value)
        if isinstance(value, datetime.datetime):
            if value.utcoffset() is None:
                raise wrong(f"expected JSON, got {value.isoformat()} without a time zone{_at(path)}.", _ADD_ZONE)
            return time_text(value)
        if isinstance(value, datetime.date):
            return value.isoformat()
        return self._container(value, path, depth)

    def _container(self, value: Any, path: str, depth: int) -> Any:
        if id(value) in self._above:
            raise wrong(f"expected JSON, got a {type(value).__name__} that contains itself{_at(path)}.", "JSON has no cycles.")
        if depth >= MAX_DEPTH:
            raise wrong(f"expected at most {MAX_DEPTH} levels of nesting, got more.", "Flatten the value.")
        items = sequence_items(value)
        pairs = None if items is not None else mapping_pairs(value)
        if items is None and pairs is None:
            raise _wrong_type(self._expected if path == "" else "JSON", value, None, path)
        self._above.append(id(value))
        try:
            if items is not None:
                return [self.tree(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)]
            made: Dict[str, Any] = {}
            for key, item in pairs or ():
                name = self._key(key, path)
                made[name] = self.tree(item, f"{path}.{name}" if path else name, depth + 1)
            return made
        finally:
            self._above.pop()

    def _key(self, key: Any, path: str) -> str:
        key = key.value if isinstance(key, enum.Enum) else key
        if not isinstance(key, str):
            raise wrong(f"expected text keys, got {shown(key)} as a key{_at(path)}.", "Write {str(key): value for key, value in …}.")
        return self.text(str.__str__(key), path)


def _unwrapped(value: Any) -> Any:
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


def shown(value: Any) -> str:
    """What a value is, for messages: `a list`, `the text "x"`."""
    if value is None:
        return "None"
    if isinstance(value, bool):
        return f"the bool {value}"
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:60] + "…"
        return f"the text {json.dumps(text, ensure_ascii=not text.isprintable())}"
    if isinstance(value, int):
        return f"the whole number {value}" if abs(value) < 10**40 else "a very long whole number"
    if isinstance(value, (float, decimal.Decimal)):
        return f"the number {value}"
    if isinstance(value, datetime.datetime):
        return f"the time {value.isoformat()}"
    if inspect.iscoroutine(value) or type(value).__name__ == "Pending":
        return "a coroutine that was not awaited" if inspect.iscoroutine(value) else "an answer that was not awaited"
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        return "a generator"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__name__', '?')}"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def _hint_for(value: Any) -> Optional[str]:
    checks: Tuple[Tuple[Callable[[], bool], str], ...] = (
        (lambda: inspect.isawaitable(value), "Write await before it, in an async def."),
        (lambda: inspect.isgenerator(value) or inspect.isasyncgen(value), "Return a list: list(…)."),
        (lambda: isinstance(value, (set, frozenset)), "Return a list: sorted(value)."),
        (lambda: isinstance(value, (bytes, bytearray, memoryview)), "Return a text: value.decode(), or base64.b64encode(value).decode()."),
        (lambda: isinstance(value, datetime.timedelta), "Return a number: value.total_seconds()."),
        (lambda: isinstance(value, datetime.time), "Return a text: value.isoformat()."),
        (lambda: is_frame(value), 'Return its rows: frame.to_dict("records"), or one column as a list.'),
        (lambda: isinstance(value, complex) or type(value).__name__.startswith("complex"), "Return its parts as two floats."),
        (lambda: "longdouble" in type(value).__name__ or "float128" in type(value).__name__, "Write float(value)."),
        (lambda: callable(value), "Return its result, not the function."),
        (lambda: callable(getattr(type(value), "to_dict", None)), "Return a list of its values, or value.to_dict()."),
        (lambda: not isinstance(value, (list, tuple)) and sequence_items(value) is not None, "Return one of its values, or declare the type list."),
        (lambda: _is_other_iterable(value), "Return a list: list(…)."),
    )
    return next((hint for applies, hint in checks if applies()), None)


def _is_other_iterable(value: Any) -> bool:
    return isinstance(value, collections.abc.Iterable) and not isinstance(value, (str, Mapping))


def _wrong_type(type_name: str, value: Any, hint: Optional[str] = None, path: str = "") -> FabraError:
    message = f"expected {type_name}, got {shown(value)}{_at(path)}."
    hint = hint or _hint_for(value) or _HINTS.get(type_name, "Give dicts, lists, texts, numbers, booleans and None only.")
    if inspect.iscoroutine(value):
        # Python would warn of it a second time, without saying whose it was.
        value.close()
    return wrong(message, hint)


_LARGE_HINT = "A feature value holds up to 64 KiB. Store less, or a reference to it."


def _too_large(size: str, max_bytes: int) -> FabraError:
    return FabraError("value_too_large", f"expected at most {max_bytes} bytes of JSON, got {size}.", _LARGE_HINT)


def _utf8_length(text: str) -> int:
    """Of the text as the server writes it, where letters outside ASCII are no escapes."""
    return len(text) if "\\u" not in text else len(json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).encode())


def _at(path: str) -> str:
    return f" at {path if len(path) <= 80 else path[:80] + '…'}" if path else ""


def encode_columns(columns: List[Dict[str, Any]], value: Any, nan: str, max_bytes: int) -> List[str]:
    """One text per column of what a function returned."""
    if len(columns) == 1 and columns[0]["name"] is None:
        return [encode(columns[0]["type"] or "json", value, nan, max_bytes)]
    names = ", ".join(column["name"] for column in columns)
    if type(value).__name__ == "Pending":
        value._told = True
        raise _wrong_type(f"a dict with {names}", value)
    pairs = mapping_pairs(value)
    if pairs is None:
        if getattr(value, "ndim", None) == 1 and hasattr(value, "index") and callable(getattr(value, "to_dict", None)):
            pairs = list(value.to_dict().items())
        else:
            hint = _hint_for(value) if inspect.isawaitable(value) else None
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
    return texts


def decode(cell: Any) -> Any:
    """A cell of an answer as Python's own value."""
    kind = type(cell)
    if kind is list:
        return [decode(one) for one in cell]
    if kind is dict:
        if len(cell) == 1:
            tag, inner = next(iter(cell.items()))
            if tag == "$ts":
                return EPOCH + datetime.timedelta(microseconds=inner)
            if tag == "$dec":
                return decimal.Decimal(inner)
            if tag == "$uuid":
                return uuid.UUID(inner)
            if tag == "$float":
                return float(inner)
            if tag == "$json":
                return json.loads(inner)
            if tag == "$obj":
                return {name: decode(one) for name, one in inner.items()}
        return {name: decode(one) for name, one in cell.items()}
    return cell


def parameter(value: Any, index: int) -> Any:
    """A bound value of a query as a cell."""
    kind = type(value)
    if value is None or kind in (bool, int) or (kind is str and value.isascii()):
        return value
    plain = _Plain("null")
    try:
        value = plain.scalar(value, "")
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return plain.text(value, "")
    except FabraError as error:
        raise TypeError(f"Parameter {index + 1} of the query: {error.message} {error.hint or ''}") from error
    if isinstance(value, decimal.Decimal):
        return {"$dec": str(value)}
    if isinstance(value, datetime.datetime):
        if value.utcoffset() is None:
            raise TypeError(f"Parameter {index + 1} of the query is a datetime without a time zone. {_ADD_ZONE}")
        return {"$ts": to_micros(value)}
    if isinstance(value, datetime.date):
        return value.isoformat()
    items = sequence_items(value)
    if items is not None:
        return [parameter(item, index) for item in items]
    hint = _hint_for(value) or "Bind texts, numbers, booleans, datetimes, Decimals, UUIDs or lists of them."
    raise TypeError(f"Parameter {index + 1} of the query is {shown(value)}. {hint}")


__all__ = ["DEFAULT_MAX_BYTES", "decode", "encode", "encode_columns", "micros_text", "parameter", "sequence_items", "shown", "wrong"]
