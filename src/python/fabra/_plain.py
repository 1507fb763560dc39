"""Values of Python's libraries as what JSON can say."""

import datetime
import decimal
import enum
import math
import uuid
from typing import Any, Dict, List, Optional

from ._containers import mapping_pairs, sequence_items, unwrapped
from ._errors import FabraError
from ._refusals import ADD_ZONE, LARGE_HINT, at, shown, wrong, wrong_type
from ._times import time_text

#: Levels of lists and dicts; the server has the same limit.
MAX_DEPTH = 32
#: Each part takes two bytes at least, so a value of more is too long; it must not take seconds to find that out.
MAX_PARTS = 33_000
_NULL_TYPES = ("NAType", "NaTType", "MaskedConstant")


class Plain:
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
                raise wrong_type("a value", value, None, path)
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
            inner = unwrapped(value)
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
        raise wrong(f"expected a number, got {float(value)}{at(path)}.", hint)

    def _decimal(self, value: decimal.Decimal, path: str) -> Optional[decimal.Decimal]:
        if value.is_finite():
            return value
        if self._nan_is_null:
            return None
        raise wrong(f"expected a number, got Decimal('{value}'){at(path)}.", "Return None when nothing is known.")

    def text(self, value: str, path: str) -> str:
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError as error:
            hint = 'Cut texts between characters, or use value.encode("utf-8", "replace").decode().'
            raise wrong(f"expected valid Unicode, got a string with a lone surrogate{at(path)}.", hint) from error
        return value

    def tree(self, value: Any, path: str, depth: int) -> Any:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FabraError("value_too_large", "expected a value of at most 64 KiB of JSON, got far more.", LARGE_HINT)
        value = self.scalar(value, path)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, decimal.Decimal):
            return int(value) if value == value.to_integral_value() and abs(value.adjusted()) < 1000 else float(value)
        if isinstance(value, datetime.datetime):
            if value.utcoffset() is None:
                raise wrong(f"expected JSON, got {value.isoformat()} without a time zone{at(path)}.", ADD_ZONE)
            return time_text(value)
        if isinstance(value, datetime.date):
            return value.isoformat()
        return self._container(value, path, depth)

    def _container(self, value: Any, path: str, depth: int) -> Any:
        if id(value) in self._above:
            raise wrong(f"expected JSON, got a {type(value).__name__} that contains itself{at(path)}.", "JSON has no cycles.")
        if depth >= MAX_DEPTH:
            raise wrong(f"expected at most {MAX_DEPTH} levels of nesting, got more.", "Flatten the value.")
        items = sequence_items(value)
        pairs = None if items is not None else mapping_pairs(value)
        if items is None and pairs is None:
            raise wrong_type(self._expected if path == "" else "JSON", value, None, path)
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
            raise wrong(f"expected text keys, got {shown(key)} as a key{at(path)}.", "Write {str(key): value for key, value in …}.")
        return self.text(str.__str__(key), path)
