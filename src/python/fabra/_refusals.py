"""What is wrong with a value, in the words of who returned it."""

import collections.abc
import datetime
import decimal
import inspect
import json
from collections.abc import Mapping
from typing import Any, Callable, Optional, Tuple

from ._containers import is_frame, sequence_items
from ._errors import FabraError

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
ADD_ZONE = "Add the zone: datetime.now(timezone.utc), or value.replace(tzinfo=timezone.utc)."

LARGE_HINT = "A feature value holds up to 64 KiB. Store less, or a reference to it."


def wrong(message: str, hint: str) -> FabraError:
    return FabraError("wrong_type", message, hint)


#: Types of which a value is one, not many.
_SINGLE = ("int", "float", "string", "bool", "timestamp")


def hint_for(value: Any, type_name: str = "list") -> Optional[str]:
    """:param type_name: What was expected of it."""
    checks: Tuple[Tuple[Callable[[], bool], str], ...] = (
        (lambda: inspect.isawaitable(value), "Write await before it, in an async def."),
        (lambda: inspect.isasyncgen(value), "Return a list: [one async for one in …]. With yield in it a function returns a generator."),
        (lambda: type_name in _SINGLE and inspect.isgenerator(value), "Return one value. With yield in it a function returns a generator."),
        (lambda: inspect.isgenerator(value), "Return a list: list(…)."),
        (lambda: type_name != "list" and isinstance(value, (list, tuple)), _instead_of_many(value, type_name)),
        (lambda: isinstance(value, (set, frozenset)), "Return a list: sorted(value)."),
        (lambda: isinstance(value, (bytes, bytearray, memoryview)), "Return a text: value.decode(), or base64.b64encode(value).decode()."),
        (lambda: isinstance(value, datetime.timedelta), "Return a number: value.total_seconds()."),
        (lambda: isinstance(value, datetime.time), "Return a text: value.isoformat()."),
        (lambda: is_frame(value), 'Return its rows: frame.to_dict("records"), or one column as a list.'),
        (lambda: isinstance(value, complex) or type(value).__name__.startswith("complex"), "Return its parts as two floats."),
        (lambda: "longdouble" in type(value).__name__ or "float128" in type(value).__name__, "Write float(value)."),
        (lambda: callable(value), "Return its result, not the function."),
        (lambda: type_name in _SINGLE and sequence_items(value) is not None, "Return one of its values, or declare the type list."),
        (lambda: callable(getattr(type(value), "to_dict", None)), "Return a list of its values, or value.to_dict()."),
        (lambda: not isinstance(value, (list, tuple)) and sequence_items(value) is not None, "Return one of its values, or declare the type list."),
        (lambda: _is_other_iterable(value), "Return a list: list(…)."),
    )
    return next((hint for applies, hint in checks if applies()), None)


def _instead_of_many(value: Any, type_name: str) -> str:
    """A query with several rows or columns, or with none, is what mostly comes where one value was expected."""
    if type_name == "dict":
        return "Return one of them, as db.fetchrow(…) does, or declare the type list."
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return "Read one value of a query with db.fetchval(…), which is None without a row, or declare the type list."
    return "Return one of its values, or declare the type list."


def _is_other_iterable(value: Any) -> bool:
    return isinstance(value, collections.abc.Iterable) and not isinstance(value, (str, Mapping))


def wrong_type(type_name: str, value: Any, hint: Optional[str] = None, path: str = "") -> FabraError:
    message = f"expected {type_name}, got {shown(value)}{at(path)}."
    hint = hint or hint_for(value, type_name) or _HINTS.get(type_name, "Give dicts, lists, texts, numbers, booleans and None only.")
    if inspect.iscoroutine(value):
        # Python would warn of it a second time, without saying whose it was.
        value.close()
    return wrong(message, hint)


def too_large(size: str, max_bytes: int) -> FabraError:
    return FabraError("value_too_large", f"expected at most {max_bytes} bytes of JSON, got {size}.", LARGE_HINT)


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


def at(path: str) -> str:
    return f" at {path if len(path) <= 80 else path[:80] + '…'}" if path else ""
