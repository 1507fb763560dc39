"""The client against a running server (FABRA_URL, with the features of client_features.ts.txt). Run by client.test.ts."""

import asyncio
import math
import os
import unittest
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Dict, List, Tuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import fabra
from fabra import client as errors
from fabra.client import AsyncClient, Client

NOW = datetime.now(timezone.utc) - timedelta(minutes=1)
MICROS = datetime(2026, 1, 2, 3, 4, 5, 123456, timezone.utc)
NESTED: Dict[str, Any] = {"a": {"b": [1, {"c": None}]}, "": "empty key", "__proto__": 1, "z": 2**63}

#: (feature, value): 40 odd ones, and what stands for nothing.
ODD: List[Tuple[str, Any]] = [
    ("i", 2**63 - 1),
    ("i", -(2**63)),
    ("i", 0),
    ("i", 2**53 + 1),
    ("i", None),
    ("f", 0.1),
    ("f", 1.0),
    ("f", -0.0),
    ("f", 5e-324),
    ("f", 1.7976931348623157e308),
    ("f", 1e22),
    ("f", 123456789012345680.0),
    ("f", None),
    ("s", ""),
    ("s", "null"),
    ("s", "007"),
    ("s", "\U0001f389 emoji \u0301 \x00 \u2028 \"quotes\" \\ 'single'\n"),
    ("s", "2026-01-01T00:00:00Z"),
    ("s", None),
    ("b", True),
    ("b", False),
    ("b", None),
    ("t", MICROS),
    ("t", datetime(1970, 1, 1, tzinfo=timezone.utc)),
    ("t", datetime(1969, 12, 31, 23, 59, 59, 999999, timezone.utc)),
    ("t", None),
    ("l", []),
    ("l", [1, "a", None, [2.5], {"k": [True]}]),
    ("l", [2**63 - 1, -1]),
    ("l", None),
    ("d", {}),
    ("d", NESTED),
    ("d", {"\U0001f680": "\U0001f389"}),
    ("d", None),
    ("j", "a text"),
    ("j", 12345678901234567890),
    ("j", [None]),
    ("j", False),
    ("j", None),
    ("tags", []),
    ("tags", ["\U0001f389", "", "a,b", None]),
    ("tags", None),
    ("counts", [2**63 - 1, None, -(2**63)]),
    ("times", [MICROS, None]),
    ("weights", {"\U0001f680": 0.1, "b": None, "": 3.0}),
    ("weights", {}),
    ("weights", None),
    ("grid", {"a": [1, 2**53 + 1], "b": [], "c": None}),
    ("grid", None),
]
NAMES = sorted({name for name, _ in ODD})
KEYS = ["\U0001f511 key/%s?&=é", *(f"u{n}" for n in range(1, 7))]


def rows_of_odd() -> List[Dict[str, Any]]:
    """One row a key, each with a value of every feature: the n-th of its odd values, or None where there are fewer."""
    by_name = {name: [value for other, value in ODD if other == name] for name in NAMES}
    return [{name: (by_name[name][n : n + 1] or [None])[0] for name in NAMES} for n in range(len(KEYS))]


EXPECTED = rows_of_odd()


def same(found: Any, expected: Any) -> bool:
    """Equal, and of the same type: 1 is neither 1.0 nor True."""
    if isinstance(expected, float):
        return type(found) is float and (found == expected and math.copysign(1, found) == math.copysign(1, expected))
    if isinstance(expected, list):
        return type(found) is list and len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return type(found) is dict and found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    return type(found) is type(expected) and bool(found == expected)


def from_pandas(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if isinstance(value, np.generic) else value


class Case(unittest.TestCase):
    client: Client

    @classmethod
    def setUpClass(cls) -> None:
        cls.client = Client(timeout=60)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.client.close()

    def assert_odd(self, rows: List[Dict[str, Any]]) -> None:
        self.assertEqual(len(rows), len(EXPECTED))
        wrong = [
            f"{name} of row {n}: {row.get(name)!r} is not {expected[name]!r}"
            for n, (row, expected) in enumerate(zip(rows, EXPECTED))
            for name in NAMES
            if not same(row.get(name), expected[name])
        ]
        self.assertEqual(wrong, [])


class Values(Case):
    """40 odd values through push, read, DataFrames and training sets."""

    labels: List[Dict[str, Any]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for name in NAMES:
            rows = [{"user_id": key, "value": row[name], "event_timestamp": NOW} for key, row in zip(KEYS, EXPECTED)]
            receipt = cls.client.push(name, rows)
            assert receipt.accepted == len(KEYS), receipt
        cls.labels = [{"user_id": key, "event_timestamp": NOW + timedelta(seconds=90)} for key in KEYS]
        for row in cls.labels:
            row["event_timestamp"] = datetime.now(timezone.utc) + timedelta(seconds=60)

    def check_pandas(self, frame: Any) -> None:
        self.assert_odd([{name: from_pandas(cell) for name, cell in row.items()} for row in frame[NAMES].to_dict("records")])
        kinds = {name: str(frame.dtypes[name]) for name in NAMES}
        self.assertEqual(kinds["i"], "Int64")
        self.assertEqual(kinds["f"], "float64")
        self.assertEqual(kinds["b"], "boolean")
        self.assertEqual(kinds["t"], "datetime64[us, UTC]")
        self.assertEqual(kinds["s"], "str")
        self.assertEqual({kinds[name] for name in ("l", "d", "j", "tags", "counts", "times", "weights", "grid")}, {"object"})

    def check_polars(self, frame: Any) -> None:
        self.assert_odd(frame.select(NAMES).to_dicts())
        kinds = dict(zip(frame.columns, frame.dtypes))
        self.assertEqual(kinds["i"], pl.Int64)
        self.assertEqual(kinds["t"], pl.Datetime("us", "UTC"))
        self.assertEqual([kinds[name] for name in ("f", "s", "b")], [pl.Float64, pl.String, pl.Boolean])
        self.assertEqual(kinds["tags"], pl.List(pl.String))
        self.assertEqual(kinds["counts"], pl.List(pl.Int64))
        self.assertEqual(kinds["times"], pl.List(pl.Datetime("us", "UTC")))
        self.assertEqual({kinds[name] for name in ("l", "d", "j", "weights", "grid")}, {pl.Object()})

    def check_arrow(self, table: Any) -> None:
        kinds = {name: table.schema.field(name).type for name in NAMES}
        self.assertEqual(kinds["i"], pa.int64())
        self.assertEqual(kinds["t"], pa.timestamp("us", tz="UTC"))
        self.assertEqual([kinds[name] for name in ("f", "s", "b")], [pa.float64(), pa.string(), pa.bool_()])
        self.assertEqual({kinds[name] for name in ("l", "d", "j")}, {pa.string()})
        self.assertTrue(pa.types.is_list(kinds["tags"]) and kinds["times"].value_type == pa.timestamp("us", tz="UTC"))
        self.assertTrue(pa.types.is_list(kinds["counts"]) and kinds["counts"].value_type == pa.int64())
        self.assertTrue(pa.types.is_map(kinds["weights"]) and kinds["weights"].item_type == pa.float64())
        self.assertTrue(pa.types.is_map(kinds["grid"]) and pa.types.is_list(kinds["grid"].item_type))

    def test_read_as_json_and_as_arrow(self) -> None:
        for arrow in (False, True):
            found = self.client.features(feature_set="odd", rows=KEYS, arrow=arrow)
            self.assertEqual(found.errors, ())
            self.assert_odd(found.to_dicts())
            self.check_pandas(found.to_pandas())
            self.check_polars(found.to_polars())
            self.check_arrow(found.to_arrow())
            self.assertEqual(found.statuses[0]["i"], "fresh")
            self.assertEqual(found.statuses[0]["both.n"], "missing")
            self.assertEqual(found.event_timestamps[0]["i"], NOW)
            self.assertGreater(found.ages[0]["i"] or timedelta(0), timedelta(seconds=30))
            self.assertEqual([row["user_id"] for row in found], KEYS)

    def test_frames_are_pushed_as_they_came(self) -> None:
        """What was read into a DataFrame is pushed again out of it, for other keys, and is the same."""
        found = self.client.features(feature_set="odd", rows=KEYS, arrow=True)
        frames = {"pandas": found.to_pandas(), "polars": found.to_polars(), "arrow": found.to_arrow()}
        for kind, frame in frames.items():
            keys = [f"{kind}-{n}" for n in range(len(KEYS))]
            for name in NAMES:
                if kind == "pandas":
                    one = frame[[name]].assign(user_id=keys, event_timestamp=NOW)
                elif kind == "polars":
                    one = frame.select(name).with_columns(pl.Series("user_id", keys), pl.lit(NOW).alias("event_timestamp"))
                else:
                    one = frame.select([name]).append_column("user_id", pa.array(keys)).append_column("event_timestamp", pa.array([NOW] * len(keys)))
                self.assertEqual(self.client.push(name, one).accepted, len(keys), f"{name} of {kind}")
            self.assert_odd(self.client.features(NAMES, keys, arrow=False).to_dicts())

    def test_one_by_one(self) -> None:
        for n, key in enumerate(KEYS):
            for name in NAMES:
                found = self.client.feature(name, key)
                self.assertTrue(same(found.value, EXPECTED[n][name]), f"{name} of {key}: {found}")
                self.assertEqual((found.status, found.event_timestamp, found.entity), ("fresh", NOW, {"user_id": key}))

    def test_training_set_of_each_kind_of_labels(self) -> None:
        frames = [self.labels, pd.DataFrame(self.labels), pl.DataFrame(self.labels), pa.Table.from_pylist(self.labels)]
        for n, labels in enumerate(frames):
            # What labels are does not change what features are: all of those once.
            train = self.client.training_set(labels, NAMES if n == len(frames) - 1 else ["i", "tags"], progress=False)
            self.assertEqual(len(train), len(KEYS))
            self.assertEqual({one["method"] for one in train.report["features"]}, {"history"})
            self.assertRegex(train.report["dataset_hash"], "^[0-9a-f]{64}$")
            self.assertEqual(str(train.to_arrow().schema.field("event_timestamp").type).replace("ns", "us"), "timestamp[us, tz=UTC]")
        self.assert_odd(train.to_dicts())
        self.check_pandas(train.to_pandas())
        self.check_polars(train.to_polars())
        self.check_arrow(train.to_arrow())

    def test_parquet_of_the_command_line(self) -> None:
        pd.DataFrame(self.labels).to_parquet("labels.parquet")
        command = [os.environ["FABRA"], "train", "labels.parquet", "--features", ",".join(NAMES), "-o", "train.parquet"]
        self.assertEqual(os.spawnv(os.P_WAIT, command[0], command), 0)
        frame = pd.read_parquet("train.parquet")
        kinds = {name: str(frame.dtypes[name]) for name in ("i", "f", "s", "b", "t")}
        self.assertEqual(kinds, {"i": "Int64", "f": "float64", "s": "str", "b": "boolean", "t": "datetime64[us, UTC]"})
        self.assertEqual([from_pandas(value) for value in frame["i"]], [row["i"] for row in EXPECTED])
        self.assertEqual([None if value is None else list(value) for value in frame["tags"]], [row["tags"] for row in EXPECTED])
        self.assertEqual([None if value is None else dict(value) for value in frame["weights"]], [row["weights"] for row in EXPECTED])
        # From the file, a path works as labels, and has the same rows.
        again = self.client.training_set("labels.parquet", ["i", "tags"], progress=False)
        self.assertEqual(again.to_arrow().drop_columns(["event_timestamp"]).num_rows, len(KEYS))


class Calls(Case):
    def test_frames_are_rows_and_values(self) -> None:
        frame = pd.DataFrame({"user_id": ["p1", "p2", "p3"], "i": pd.array([1, None, 3], dtype="Int64")})
        self.assertEqual(self.client.push("i", frame).accepted, 3)
        self.client.push("f", pl.DataFrame({"user_id": ["p1"], "value": [1.5]}))
        self.client.push("times", pa.table({"user_id": ["p1"], "times": pa.array([[MICROS]], pa.list_(pa.timestamp("us", tz="UTC")))}))
        self.client.push("both", [{"user_id": "p1", "n": np.int64(7), "tags": np.array(["a", "b"])}])
        found = self.client.features(["i", "f", "times", "both"], frame[["user_id"]])
        self.assertEqual(
            found[0], {"user_id": "p1", "i": 1, "f": 1.5, "times": [MICROS], "both.n": 7, "both.tags": ["a", "b"]}
        )
        self.assertEqual([row["i"] for row in found], [1, None, 3])
        self.assertEqual(str(found.to_pandas()["both.n"].dtype), "Int64")
        self.assertEqual(str(self.client.features("i", ["p1"]).to_pandas()["i"].dtype), "int64")
        self.assertEqual(self.client.feature("both", "p1").value, {"n": 7, "tags": ["a", "b"]})
        self.assertIsNone(self.client.feature("both", "p9").value)

    def test_several_key_columns_and_inputs(self) -> None:
        big = 2**53 + 1
        self.client.push("score", [{"user_id": big, "merchant_id": "m/1", "value": 0.5}])
        self.assertEqual(self.client.feature("score", {"user_id": big, "merchant_id": "m/1"}).value, 0.5)
        self.assertEqual(self.client.features("score", {"user_id": big, "merchant_id": "m/1"}).to_pandas()["user_id"][0], big)
        self.assertEqual(self.client.feature("grown", "u1", inputs={"amount": Decimal("1.5")}).value, 2.5)
        receipt = self.client.forget("Pair", {"user_id": big, "merchant_id": "m/1"})
        self.assertLess(NOW, receipt["forgotten_at"])
        self.assertEqual(self.client.feature("score", {"user_id": big, "merchant_id": "m/1"}).status, "missing")

    def test_many_rows_go_in_lots_and_come_back_in_order(self) -> None:
        frame = pd.DataFrame({"user_id": [f"m{n}" for n in range(5_001)], "value": range(5_001)})
        self.assertEqual(self.client.push("i", frame, progress=False).accepted, 5_001)
        for arrow in (False, True):
            found = self.client.features("i", frame[["user_id"]], arrow=arrow)
            self.assertEqual(found.to_pandas()["i"].tolist(), list(range(5_001)))
        wrong = [{"user_id": f"w{n}", "value": n if n < 5_000 else "x"} for n in range(5_001)]
        with self.assertRaisesRegex(errors.InvalidValue, "5000 rows before were written"):
            self.client.push("i", wrong, progress=False)

    def test_events_are_appended_exactly_and_once(self) -> None:
        amounts = [Decimal("0.1234"), Decimal("-12345678901234.5678"), Decimal("7"), None]
        rows = [{"event_id": f"e{n}", "user_id": f"a{n}", "amount": str(amount) if n == 1 else amount, "created_at": NOW} for n, amount in enumerate(amounts)]
        self.assertEqual(self.client.append("events", rows).accepted, 4)
        self.assertEqual(self.client.append("events", pd.DataFrame(rows)).duplicates, 4)
        labels = "SELECT user_id, created_at + INTERVAL '1 second' AS event_timestamp, amount FROM events"
        train = self.client.training_set(f"{labels} WHERE user_id IN ('a0', 'a1', 'a2', 'a3') ORDER BY event_id", "spent", progress=False)
        self.assertEqual([row["amount"] for row in train.to_dicts()], amounts)
        self.assertEqual([row["spent"] for row in train.to_dicts()], [0.1234, -12345678901234.5678, 7.0, 0.0])
        self.assertEqual(train.to_arrow().schema.field("amount").type, pa.decimal128(18, 4))
        self.assertEqual((train.to_polars()["amount"].to_list(), train.to_polars()["amount"].dtype), (amounts, pl.Decimal(18, 4)))
        self.assertEqual([from_pandas(cell) for cell in train.to_pandas()["amount"]], amounts)
        # As values: exact as a float or a whole number, or refused.
        self.client.push("f", [{"user_id": "dec", "value": Decimal("0.5")}])
        self.client.push("j", [{"user_id": "dec", "value": {"whole": Decimal("12345678901234567890"), "part": Decimal("0.1")}}])
        self.assertEqual(self.client.features(["f", "j"], ["dec"])[0], {"user_id": "dec", "f": 0.5, "j": {"whole": 12345678901234567890, "part": 0.1}})
        with self.assertRaisesRegex(errors.InvalidValue, "not exact as a float"):
            self.client.push("f", [{"user_id": "dec", "value": Decimal("0.1234567890123456789")}])

    def test_values_that_json_cannot_say_name_their_place(self) -> None:
        for value, words in ((float("nan"), "nan"), ({1: 2}, "no text"), ({1, 2}, "set"), (b"x", "bytes"), ("\ud800", "surrogate")):
            with self.assertRaisesRegex(errors.InvalidValue, words) as caught:
                self.client.push("j", [{"user_id": "u1", "value": value}])
            self.assertIn("row 0.value", str(caught.exception))

    def test_what_is_shown(self) -> None:
        self.client.push("s", [{"user_id": "r1", "value": "<b>&"}])
        one = self.client.feature("s", "r1")
        self.assertRegex(repr(one), r"^<s\(user_id='r1'\) = '<b>&', fresh, \d")
        self.assertIn("&lt;b&gt;&amp;", one._repr_html_())
        many = self.client.features(["s", "i"], ["r1"] * 12)
        self.assertRegex(repr(many), r"12 rows of 2 features: s, i[\s\S]+s <b>& \(fresh, [\s\S]+2 more")
        self.assertIn("&lt;b&gt;&amp;", many._repr_html_())
        self.assertNotIn("<b>&", many._repr_html_())
        self.assertIn("Client('http://", repr(self.client))

    def test_the_catalogue(self) -> None:
        found = self.client.catalogue()
        self.assertEqual({one["name"]: one.get("type") for one in found["features"]}["weights"], "dict[string, float]")
        self.assertEqual([one["name"] for one in found["feature_sets"]], ["odd"])

    def test_awaited_it_is_the_same(self) -> None:
        async def calls() -> None:
            async with AsyncClient(timeout=60) as client:
                await client.push("i", [{"user_id": "as1", "value": 5}])
                self.assertEqual((await client.feature("i", "as1")).value, 5)
                found = await asyncio.gather(*(client.features("i", ["as1"]) for _ in range(20)))
                self.assertEqual({row["i"] for one in found for row in one}, {5})
                labels = pd.DataFrame({"user_id": ["as1"], "event_timestamp": [datetime.now(timezone.utc) + timedelta(seconds=60)]})
                train = await client.training_set(labels, "i", progress=False)
                self.assertEqual(train.to_pandas()["i"].tolist(), [5])
                with self.assertRaises(errors.UnknownFeature):
                    await client.training_set(labels, "nope", progress=False)
                with self.assertRaises(errors.DeadlineExceeded):
                    await client.feature("slow", "u1", timeout=0.3)

        asyncio.run(calls())


class Errors(Case):
    def test_each_has_a_class_a_code_and_a_hint(self) -> None:
        with self.assertRaises(errors.UnknownFeature) as caught:
            self.client.feature("grownn", "u1")
        error = caught.exception
        self.assertIsInstance(error, fabra.FabraError)
        self.assertEqual((error.code, error.status, error.hint), ("unknown_feature", 404, 'Did you mean "grown"?'))
        self.assertRegex(error.request_id or "", ".+")
        for raised, call in (
            (errors.UnknownFeatureSet, lambda: self.client.features(feature_set="od", rows=["u1"])),
            (errors.UnknownSource, lambda: self.client.append("event", [{"a": 1}])),
            (errors.UnknownEntity, lambda: self.client.forget("Usr", "u1")),
            (errors.InvalidKey, lambda: self.client.feature("score", {"user_id": "x", "merchant_id": "m"})),
            (errors.InvalidInput, lambda: self.client.feature("grown", "u1")),
            (errors.InvalidTime, lambda: self.client.push("i", [{"user_id": "u", "value": 1, "event_timestamp": datetime(2026, 1, 1)}])),
            (errors.FeatureFailed, lambda: self.client.feature("fails", "u1")),
            (errors.InvalidInput, lambda: self.client.features(["i"], [], feature_set="odd")),
            (errors.InvalidInput, lambda: self.client.training_set("nothing.parquet", "i")),
            (errors.InvalidLabels, lambda: self.client.training_set([{"user_id": "u1"}], "i", progress=False)),
        ):
            with self.assertRaises(raised):
                call()

    def test_a_feature_that_fails_leaves_its_neighbours(self) -> None:
        for arrow in (False, True):
            found = self.client.features(["fails", "i"], ["u1", "u2"], arrow=arrow)
            self.assertEqual([(row, name, type(error)) for row, name, error in found.errors], [(n, "fails", errors.FeatureFailed) for n in (0, 1)])
            self.assertEqual(found.statuses[1]["fails"], "error")
            with self.assertRaises(errors.FeatureFailed):
                found.raise_for_errors()

    def test_a_deadline_is_for_the_whole_call(self) -> None:
        with self.assertRaises(errors.DeadlineExceeded) as caught:
            self.client.feature("slow", "u1", timeout=0.3)
        self.assertIn("0.3 s", str(caught.exception))

    def test_nothing_is_loaded_that_was_not_asked_for(self) -> None:
        code = "import sys, fabra; fabra.Client().features('i', ['u1']).to_dicts(); print([n for n in ('pandas', 'polars', 'pyarrow', 'numpy') if n in sys.modules])"
        import subprocess
        import sys

        self.assertEqual(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout, "[]\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
