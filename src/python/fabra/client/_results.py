"""What calls give."""

import html
import json
import weakref
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, Generic, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from ._errors import ClientError, error_of
from ._frames import arrow_to_pandas, arrow_to_polars, arrow_values, columns_to_arrow, columns_to_pandas, columns_to_polars, declared_types, package
from ._types import decode, read_time

_SHOWN_ROWS = 10
_SHOWN_TEXT = 60


T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class FeatureValue(Generic[T_co]):
    """One feature of one entity key, as it was served."""

    feature: str
    entity: Mapping[str, Any]
    #: None also where nothing is known: see `status`.
    value: Optional[T_co]
    #: "fresh", "stale", "default" or "missing".
    status: str
    #: "online", "computed", "last_good", "default"; None where nothing was served.
    served_from: Optional[str]
    #: None where it is not known.
    age: Optional[timedelta]
    event_timestamp: Optional[datetime]

    def __repr__(self) -> str:
        key = ", ".join(f"{name}={value!r}" for name, value in self.entity.items())
        return f"<{self.feature}({key}) = {self.value!r}, {said(self.status, self.age)}>"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(self.feature)}</code> = <b>{html.escape(shown(self.value))}</b> <small>{html.escape(said(self.status, self.age))}</small>"


def shown(value: Any) -> str:
    text = "–" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"


def said(status: str, age: Optional[timedelta]) -> str:
    """How a value is: `fresh, 1.2 s old`."""
    return status if age is None else f"{status}, {age_text(age)} old"


def age_text(age: timedelta) -> str:
    seconds = age.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


class Features:
    """Features of many rows, in the order of the rows. Rows of `statuses`, `ages` and the like are dicts by feature name."""

    def __init__(
        self,
        names: Sequence[str],
        types: Sequence[str],
        results: Sequence[Mapping[str, Any]],
        errors: Sequence[Tuple[int, str, ClientError]],
    ) -> None:
        self.names: Tuple[str, ...] = tuple(names)
        #: As features declare them, by name: `int`, `list[string]`.
        self.types: Dict[str, str] = dict(zip(names, types))
        #: Of features that failed: (row, feature, error). Their status is "error".
        self.errors: Tuple[Tuple[int, str, ClientError], ...] = tuple(errors)
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return iter(self.to_dicts())

    def __getitem__(self, row: int) -> Dict[str, Any]:
        return self._row(self._results[row])

    @property
    def statuses(self) -> List[Dict[str, str]]:
        return [dict(zip(self.names, one["statuses"])) for one in self._results]

    @property
    def served_from(self) -> List[Dict[str, Optional[str]]]:
        return [dict(zip(self.names, one["served_from"])) for one in self._results]

    @property
    def ages(self) -> List[Dict[str, Optional[timedelta]]]:
        return [{name: _age(ms) for name, ms in zip(self.names, one["freshness_ms"])} for one in self._results]

    @property
    def event_timestamps(self) -> List[Dict[str, Optional[datetime]]]:
        return [
            {name: None if text is None else read_time(text) for name, text in zip(self.names, one["event_timestamps"])} for one in self._results
        ]

    def raise_for_errors(self) -> "Features":
        """Raises the first error of a feature that failed; gives itself where none did."""
        for _, _, error in self.errors:
            raise error
        return self

    def to_dicts(self) -> List[Dict[str, Any]]:
        """A dict a row: key columns, then features."""
        return [self._row(one) for one in self._results]

    def to_pandas(self) -> Any:
        """Whole numbers with nulls are `Int64`, times have a zone and microseconds, lists and dicts stay what they are."""
        return columns_to_pandas(*self._columns())

    def to_polars(self) -> Any:
        """Dicts, and lists that do not declare what they hold, are objects."""
        return columns_to_polars(*self._columns())

    def to_arrow(self) -> Any:
        """Lists and dicts that declare what they hold are lists and maps; others are JSON texts (`fabra` in the schema's metadata tells which)."""
        return columns_to_arrow(*self._columns())

    def _row(self, one: Mapping[str, Any]) -> Dict[str, Any]:
        return {**one["entity"], **{name: decode(self.types[name], value) for name, value in zip(self.names, one["values"])}}

    def _columns(self) -> Tuple[Dict[str, List[Any]], Dict[str, str]]:
        keys = list(self._results[0]["entity"]) if self._results else []
        columns: Dict[str, List[Any]] = {key: [one["entity"][key] for one in self._results] for key in keys}
        types = {key: "int" if all(isinstance(value, int) for value in columns[key]) else "string" for key in keys}
        for i, name in enumerate(self.names):
            declared = self.types[name]
            columns[name] = [decode(declared, one["values"][i]) for one in self._results]
        return columns, {**types, **self.types}

    def __repr__(self) -> str:
        lines = [f"<{len(self)} rows of {len(self.names)} features: {', '.join(self.names)}>"]
        for one in self._results[:_SHOWN_ROWS]:
            key = ", ".join(f"{name}={value!r}" for name, value in one["entity"].items())
            values = zip(self.names, one["values"], one["statuses"], one["freshness_ms"])
            texts = [f"{name} {shown(value)} ({said(status, _age(ms))})" for name, value, status, ms in values]
            lines.append(f"  {key}: {'; '.join(texts)}")
        if len(self) > _SHOWN_ROWS:
            lines.append(f"  … {len(self) - _SHOWN_ROWS} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        keys = list(self._results[0]["entity"]) if self._results else []
        heads = "".join(f"<th>{html.escape(name)}</th>" for name in [*keys, *self.names])
        rows = []
        for one in self._results[:_SHOWN_ROWS]:
            cells = [f"<td>{html.escape(shown(one['entity'][key]))}</td>" for key in keys]
            for value, status, ms in zip(one["values"], one["statuses"], one["freshness_ms"]):
                cells.append(f"<td>{html.escape(shown(value))}<br><small>{html.escape(said(status, _age(ms)))}</small></td>")
            rows.append(f"<tr>{''.join(cells)}</tr>")
        more = f"<p>{len(self) - _SHOWN_ROWS} more rows</p>" if len(self) > _SHOWN_ROWS else ""
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _age(ms: Optional[int]) -> Optional[timedelta]:
    return None if ms is None else timedelta(milliseconds=ms)


class FeatureTable(Features):
    """The same out of a table of Arrow, which is only taken apart where that is asked for."""

    def __init__(self, table: Any) -> None:
        metadata = json.loads((table.schema.metadata or {}).get(b"fabra", b"{}"))
        names = [str(name) for name in metadata["features"]]
        errors = [(int(one["row"]), str(one["feature"]), error_of(one)) for one in metadata.get("errors", [])]
        super().__init__(names, [str(metadata["types"][name]) for name in names], (), errors)
        self._table = table
        how = {f"{name}__{what}" for name in names for what in ("status", "served_from", "freshness_ms", "event_timestamp")}
        self._values = table.select([name for name in table.column_names if name not in how])

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, row: int) -> Dict[str, Any]:
        return self.to_dicts()[row]

    @property
    def statuses(self) -> List[Dict[str, str]]:
        return self._how("status")

    @property
    def served_from(self) -> List[Dict[str, Optional[str]]]:
        return self._how("served_from")

    @property
    def ages(self) -> List[Dict[str, Optional[timedelta]]]:
        return [{name: _age(ms) for name, ms in row.items()} for row in self._how("freshness_ms")]

    @property
    def event_timestamps(self) -> List[Dict[str, Optional[datetime]]]:
        return self._how("event_timestamp")

    def to_dicts(self) -> List[Dict[str, Any]]:
        return _dicts_of(self._values, self.types)

    def to_pandas(self) -> Any:
        return arrow_to_pandas(self._values, self.types)

    def to_polars(self) -> Any:
        return arrow_to_polars(self._values, self.types)

    def to_arrow(self) -> Any:
        return self._values

    def _how(self, what: str) -> List[Dict[str, Any]]:
        columns = [self._table.column(f"{name}__{what}").to_pylist() for name in self.names]
        return [dict(zip(self.names, row)) for row in zip(*columns)]

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {len(self.names)} features: {', '.join(self.names)}>\n{self._values.slice(0, _SHOWN_ROWS)}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def _dicts_of(table: Any, types: Mapping[str, str]) -> List[Dict[str, Any]]:
    columns = [arrow_values(table.column(name), types.get(name)) for name in table.column_names]
    return [dict(zip(table.column_names, row)) for row in zip(*columns)]


class TrainingSet:
    """Label rows in their order, with features as of each row's time. It is a file of this machine's, read when it is asked for."""

    def __init__(self, path: Path, report: Mapping[str, Any], rows: int) -> None:
        self._path = path
        self._rows = rows
        #: How it was made: methods and fingerprints of features, a hash of all rows, warnings.
        self.report: Mapping[str, Any] = report
        self._finalizer = weakref.finalize(self, _remove, path)

    def __len__(self) -> int:
        return self._rows

    def to_arrow(self) -> Any:
        pa = package("pyarrow", "A table of Arrow")
        ipc = package("pyarrow.ipc", "A table of Arrow")
        # Not read but mapped: its pages come as they are looked at, and stay when the file is removed.
        return ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def to_pandas(self) -> Any:
        """Whole numbers with nulls are `Int64`, times have a zone and microseconds, lists and dicts stay what they are."""
        table = self.to_arrow()
        return arrow_to_pandas(table, declared_types(table))

    def to_polars(self) -> Any:
        """Dicts, and lists that do not declare what they hold, are objects."""
        table = self.to_arrow()
        return arrow_to_polars(table, declared_types(table))

    def to_dicts(self) -> List[Dict[str, Any]]:
        table = self.to_arrow()
        return _dicts_of(table, declared_types(table))

    def save(self, path: Union[str, Path]) -> Path:
        """Writes the file, in the Arrow IPC format (Feather)."""
        target = Path(path)
        target.write_bytes(self._path.read_bytes())
        return target

    def __repr__(self) -> str:
        return f"<training set of {self._rows} rows{''.join(self._lines())}>"

    def _lines(self) -> Iterator[str]:
        for feature in self.report.get("features", []):
            yield f"\n  {feature.get('feature')}: {feature.get('method')}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def _remove(path: Path) -> None:
    """With the folder that was made for it."""
    path.unlink(missing_ok=True)
    path.parent.rmdir()


@dataclass(frozen=True)
class WriteReceipt:
    """What became of rows that were sent: durable, all of them."""

    accepted: int
    duplicates: int
    #: Of pushes: older than a "forget" of their key, so without effect.
    fenced: int = 0
