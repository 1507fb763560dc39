"""Cells of answers, and bound values of questions."""

import datetime
import decimal
import json
import uuid
from typing import Any

from ._containers import sequence_items
from ._errors import FabraError
from ._plain import Plain
from ._refusals import ADD_ZONE, hint_for, shown
from ._times import EPOCH, to_micros


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
    plain = Plain("null")
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
            raise TypeError(f"Parameter {index + 1} of the query is a datetime without a time zone. {ADD_ZONE}")
        return {"$ts": to_micros(value)}
    if isinstance(value, datetime.date):
        return value.isoformat()
    items = sequence_items(value)
    if items is not None:
        return [parameter(item, index) for item in items]
    hint = hint_for(value) or "Bind texts, numbers, booleans, datetimes, Decimals, UUIDs or lists of them."
    raise TypeError(f"Parameter {index + 1} of the query is {shown(value)}. {hint}")
