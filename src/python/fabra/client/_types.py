"""Types as features declare them (`int`, `list[string]`, `dict[string, float]`) and values of them out of JSON."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Optional, Union

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def read_json(text: Union[str, bytes]) -> Any:
    """With the sign of a zero, which is a float."""
    has_zero = "-0" in text if isinstance(text, str) else b"-0" in text
    return json.loads(text, parse_int=_whole) if has_zero else json.loads(text)


def _whole(digits: str) -> Union[int, float]:
    return -0.0 if digits == "-0" else int(digits)


def element_of(declared: str) -> Optional[str]:
    """What a list or dict holds; None where it does not say."""
    if declared.startswith("list["):
        return declared[len("list[") : -1]
    return declared[len("dict[string, ") : -1] if declared.startswith("dict[") else None


def is_list(declared: str) -> bool:
    return declared == "list" or declared.startswith("list[")


def is_whole(declared: str) -> bool:
    """Declared down to its parts, so that a column of Arrow has the type itself and not JSON text."""
    element = element_of(declared)
    return declared not in ("list", "dict", "json") if element is None else is_whole(element)


def decode(declared: str, value: Any) -> Any:
    """A value of JSON as Python has it."""
    if value is None:
        return None
    element = element_of(declared)
    if element is not None:
        if isinstance(value, list):
            return [decode(element, part) for part in value]
        return {key: decode(element, part) for key, part in value.items()}
    if declared == "float":
        return float(value)
    return read_time(value) if declared == "timestamp" else value


def read_time(text: str) -> datetime:
    """RFC 3339 in UTC, with up to six digits of a second. (`fromisoformat` reads neither `Z` nor three digits before Python 3.11.)"""
    day, clock = text.rstrip("Z").split("T")
    whole, _, fraction = clock.partition(".")
    year, month, date = day.split("-")
    hour, minute, second = whole.split(":")
    micros = int(fraction.ljust(6, "0")[:6]) if fraction else 0
    return datetime(int(year), int(month), int(date), int(hour), int(minute), int(second), micros, timezone.utc)


def micros_since_epoch(value: datetime) -> int:
    return (value - _EPOCH) // timedelta(microseconds=1)
