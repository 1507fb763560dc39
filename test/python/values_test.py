"""Values as JSON texts: the whole table of what is taken, what becomes null, and what is refused."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import os
import sys
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/python"))

from fabra._errors import FabraError  # noqa: E402
from fabra._cells import decode, parameter  # noqa: E402
from fabra._containers import sequence_items  # noqa: E402
from fabra._values import encode, encode_columns  # noqa: E402

UTC = datetime.timezone.utc
NAN = float("nan")


class Scalar:
    """As numpy's: no dimensions, and item()."""

    ndim = 0

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class Series:
    """As pandas': both item() and tolist()."""

    ndim = 1

    def __init__(self, values):
        self.values = values

    def tolist(self):
        return self.values

    def item(self):
        return self.values[0]

    def to_dict(self):
        return dict(enumerate(self.values))


class Polars:
    def __init__(self, values):
        self.values = values

    def to_list(self):
        return self.values


class DataFrame:
    ndim = 2
    shape = (1, 1)
    columns = ["a"]

    def to_dict(self, orient="dict"):
        return {"a": {0: 1}}


class ArrowScalar:
    def __init__(self, value):
        self.value = value

    def as_py(self):
        return self.value


class NAType:
    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


class NaTType(datetime.datetime):
    def isoformat(self, *_):
        return "NaT"


class datetime64:  # noqa: N801
    """As numpy's: of nanoseconds, whose item() is an int."""

    ndim = 0

    def __init__(self, unit="ns"):
        self.unit = unit

    def astype(self, kind):
        assert kind == "datetime64[us]"
        return datetime64("us")

    def item(self):
        return datetime.datetime(2024, 1, 1) if self.unit == "us" else 1704067200000000000


class Color(str, enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    S = 1


@dataclasses.dataclass
class Point:
    x: int
    inner: object = None


class Model:
    """As pydantic's."""

    def model_dump(self):
        return {"a": decimal.Decimal("1.10"), "at": datetime.datetime(2024, 1, 1, tzinfo=UTC)}


class Values(unittest.TestCase):
    def test_taken(self):
        moment = datetime.datetime(2024, 1, 1, 1, 0, 0, 5, datetime.timezone(datetime.timedelta(hours=1)))
        for kind, value, text in [
            ("int", 5, "5"), ("int", -(2**63), str(-(2**63))), ("int", Scalar(5), "5"), ("int", decimal.Decimal("5.0"), "5"), ("int", Size.S, "1"),
            ("float", 1.0, "1.0"), ("float", 1e-5, "1e-05"), ("float", 3, "3.0"), ("float", -0.0, "-0.0"), ("float", decimal.Decimal("0.1"), "0.1"),
            ("float", Scalar(0.1), "0.1"), ("bool", True, "true"), ("bool", Scalar(False), "false"), ("string", "ü", '"\\u00fc"'), ("string", Color.RED, '"red"'),
            ("string", uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'), ("timestamp", moment, '"2024-01-01T00:00:00.000005Z"'),
            ("timestamp", datetime64(), '"2024-01-01T00:00:00Z"'), ("timestamp", datetime.datetime(1900, 1, 1, tzinfo=UTC), '"1900-01-01T00:00:00Z"'),
            ("list", (1, "a", None), '[1,"a",null]'), ("list", Series([1, NAType()]), "[1,null]"), ("list", Polars([1.5]), "[1.5]"), ("list", [], "[]"),
            ("list", [Series([Scalar(1)])], "[[1]]"), ("dict", {}, "{}"), ("dict", {"a": {"b": [True]}}, '{"a":{"b":[true]}}'),
            ("dict", collections.Counter("a"), '{"a":1}'), ("dict", {Color.RED: Size.S}, '{"red":1}'), ("dict", Point(1, Point(2)), '{"x":1,"inner":{"x":2,"inner":null}}'),
            ("dict", Model(), '{"a":1.1,"at":"2024-01-01T00:00:00Z"}'), ("json", ArrowScalar({"a": 1}), '{"a":1}'), ("json", datetime.date(2024, 1, 1), '"2024-01-01"'),
            ("json", 2**70, str(2**70)), ("json", decimal.Decimal(2**70), str(2**70)), ("json", [[1], [1]], "[[1],[1]]"),
        ]:
            with self.subTest(kind=kind, value=repr(value)):
                self.assertEqual(encode(kind, value), text)

    def test_null(self):
        for kind in ["int", "float", "bool", "string", "timestamp", "list", "dict", "json"]:
            for value in [None, NAType(), NaTType(2024, 1, 1), Scalar(None), ArrowScalar(None)]:
                with self.subTest(kind=kind, value=type(value).__name__):
                    self.assertEqual(encode(kind, value), "null")
        self.assertEqual(encode("float", NAN, "null"), "null")
        self.assertEqual(encode("json", [NAN, {"a": float("inf")}, decimal.Decimal("NaN")], "null"), '[null,{"a":null},null]')

    def test_refused(self):
        shared = [1]
        shared.append(shared)
        for kind, value, message, hint in [
            ("int", True, "expected int, got the bool True.", "Return an int"), ("int", 1.0, "expected int, got the number 1.0.", "Round it"),
            ("int", 2**63, "outside 64 bits", "json"), ("int", "1", 'expected int, got the text "1".', "Return an int"), ("int", Series([1]), "got a Series", "one of its values"),
            ("float", True, "expected float, got the bool True.", ""), ("float", NAN, "got nan", 'nan="null"'), ("float", 2**53 + 1, "not exact as a float", "int"),
            ("float", 10**400, "not exact as a float", ""), ("float", decimal.Decimal(2**53 + 1), "not exact", ""), ("float", 1j, "got a complex", "two floats"),
            ("bool", 1, "expected bool, got the whole number 1.", ""), ("string", 1, "expected string, got the whole number 1.", "str(value)"),
            ("string", "\ud800", "lone surrogate", "Cut texts"), ("string", b"x", "got a bytes", "decode"), ("timestamp", datetime.datetime(2024, 1, 1), "without a time zone", "timezone.utc"),
            ("timestamp", datetime.date(2024, 1, 1), "got a date", "datetime("), ("timestamp", 1, "expected timestamp, got the whole number 1.", ""),
            ("list", {"a": 1}, "expected list, got a dict.", ""), ("list", "ab", "expected list, got the text", ""), ("list", {1}, "expected list, got a set.", "sorted"),
            ("list", range(3), "expected list, got a range.", "list("), ("list", (n for n in [1]), "a generator", "list("), ("list", DataFrame(), "got a DataFrame", "records"),
            ("dict", [1], "expected dict, got a list.", ""), ("dict", {1: 2}, "expected text keys, got the whole number 1 as a key.", "str(key)"),
            ("dict", {"a": {None: 1}}, "got None as a key at a.", ""), ("json", {"a": [1, {"b": {1}}]}, "got a set at a[1].b.", ""), ("json", shared, "contains itself at [1]", "cycles"),
            ("json", datetime.timedelta(1), "got a timedelta", "total_seconds"), ("json", datetime.time(1), "got a time", "isoformat"), ("json", lambda: 1, "the function <lambda>", "result"),
            ("json", int, "the class int", ""), ("json", object(), "an object", ""), ("json", {"a": "\udfff"}, "lone surrogate at a.", ""), ("json", 10**5000, "thousands of digits", "text"),
            ("int", [{"a": 1}, {"a": 2}], "expected int, got a list.", "db.fetchval"), ("float", [], "got a list", "db.fetchval"), ("bool", (1, 2), "got a tuple", "one of its values"),
            ("dict", [{"a": 1}], "expected dict, got a list.", "db.fetchrow"), ("int", (n for n in [1]), "a generator", "Return one value"),
            ("json", json.loads("[" * 33 + "]" * 33), "at most 32 levels", "Flatten"),
        ]:
            with self.subTest(kind=kind, value=message):
                with self.assertRaises(FabraError) as raised:
                    encode(kind, value)
                self.assertEqual(raised.exception.code, "wrong_type")
                self.assertIn(message, raised.exception.message)
                self.assertTrue(raised.exception.message.startswith("expected"))
                self.assertIn(hint, raised.exception.hint)

    def test_size(self):
        self.assertEqual(len(encode("string", "é" * 30_000)), 6 * 30_000 + 2)
        for value in ["é" * 40_000, [0] * 40_000, {"a": "x" * 70_000}]:
            with self.assertRaises(FabraError) as raised:
                encode("json", value)
            self.assertEqual(raised.exception.code, "value_too_large")
        endless = []
        for _ in range(30):
            endless = [endless] * 9
        for value in [endless, [Scalar(1), endless]]:
            with self.assertRaises(FabraError) as raised:
                encode("json", value)
            self.assertEqual(raised.exception.code, "value_too_large")

    def test_columns(self):
        columns = [{"name": "a", "type": "int"}, {"name": "b", "type": "float"}]
        self.assertEqual(encode_columns(columns, {"b": 1.5, "a": 1}, "error", 65_536), ["1", "1.5"])
        for value, message in [
            ({"a": 1}, 'the dict it returned has no "b"'), ([1, 2], "expected a dict with a, b, got a list."), (None, "got None"), ({"a": "x", "b": 1}, 'column "a": expected int'),
            ({"a": 1, "b": 1, "c": object()}, 'has "c", which is no column'), ({"a": 1, "b": 1, 7: 1}, "the whole number 7, which is no column"),
        ]:
            with self.assertRaises(FabraError) as raised:
                encode_columns(columns, value, "error", 65_536)
            self.assertIn(message, raised.exception.message)

    def test_cells(self):
        self.assertEqual(decode({"$ts": 1}), datetime.datetime(1970, 1, 1, 0, 0, 0, 1, UTC))
        self.assertEqual(decode({"$obj": {"$ts": [1]}}), {"$ts": [1]})
        self.assertEqual([decode({"$float": "3"}), decode({"$json": '{"a": 1}'}), decode([{"$dec": "1.10"}])], [3.0, {"a": 1}, [decimal.Decimal("1.10")]])
        self.assertIs(type(decode({"$float": "3"})), float)
        self.assertEqual(parameter([Scalar(1), None, "x"], 0), [1, None, "x"])
        for value in [{"a": 1}, {1}, b"x", datetime.datetime(2024, 1, 1), "\ud800", lambda: 1]:
            with self.assertRaises(TypeError) as raised:
                parameter(value, 1)
            self.assertIn("Parameter 2 of the query", str(raised.exception))

    def test_batches(self):
        for value in [(1, 2), [1, 2], Series([1, 2]), Polars([1, 2])]:
            self.assertEqual(sequence_items(value), [1, 2])
        for value in ["ab", {1: 2}, {1}, DataFrame(), None, 5, iter([1])]:
            self.assertIsNone(sequence_items(value))


if __name__ == "__main__":
    unittest.main()
