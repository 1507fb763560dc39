"""Rows, in whatever form they are given: dicts, keys, or a DataFrame of pandas or polars, or a table of Arrow."""

from typing import Any, Dict, Iterable, List, Mapping, Sequence, Union

from ._errors import InvalidInput
from ._frames import arrow_values, declared_types
from ._plain import plain, plain_list

Row = Dict[str, Any]
#: What calls take for rows.
Rows = Union[Any, Mapping[str, Any], Iterable[Mapping[str, Any]], Iterable[Union[str, int]]]


def frame_kind(data: Any) -> str:
    """ "pandas", "polars", "arrow", or "" for anything else. Told by the names of its class, so that nothing is imported."""
    for kind in type(data).__mro__:
        module = kind.__module__.split(".")[0]
        if module == "pandas" and kind.__name__ == "DataFrame":
            return "pandas"
        if module == "polars" and kind.__name__ in ("DataFrame", "LazyFrame"):
            return "polars"
        if module == "pyarrow" and kind.__name__ in ("Table", "RecordBatch"):
            return "arrow"
    return ""


def rows_of(data: Rows) -> List[Row]:
    kind = frame_kind(data)
    frame: Any = data
    if kind == "pandas":
        return _pandas_rows(frame)
    if kind == "polars":
        frame = frame.collect() if type(data).__name__ == "LazyFrame" else frame
        return [_plain_row(row, i) for i, row in enumerate(frame.to_dicts())]
    if kind == "arrow":
        # A table that this client gave says which of its texts are JSON.
        types = declared_types(frame)
        cells = [arrow_values(column, types.get(name)) for name, column in zip(frame.schema.names, frame.columns)]
        return [_plain_row(dict(zip(frame.schema.names, row)), i) for i, row in enumerate(zip(*cells))]
    if isinstance(data, Mapping):
        return [_plain_row(frame, 0)]
    if isinstance(data, (str, bytes)) or not isinstance(data, Iterable):
        raise InvalidInput(f"Rows are a list of dicts or a DataFrame, not {type(data).__name__}.", 'Write [{"user_id": "u1"}].')
    return [_plain_row(row if isinstance(row, Mapping) else {"entity_id": row}, i) for i, row in enumerate(data)]


def _plain_row(row: Mapping[str, Any], i: int) -> Row:
    for name in row:
        if not isinstance(name, str):
            raise InvalidInput(f"Row {i} has a column {name!r}, which is no text.", "Columns are called by texts.")
    return {name: plain(value, f"row {i}.{name}") for name, value in row.items()}


def _pandas_rows(frame: Any) -> List[Row]:
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise InvalidInput("The DataFrame has two columns of one name.", "Rename one of them.")
    columns: Sequence[List[Any]] = [plain_list(_cells(frame.iloc[:, i]), f"column {name}") for i, name in enumerate(names)]
    return [dict(zip(names, cells)) for cells in zip(*columns)] if columns else []


def _cells(column: Any) -> List[Any]:
    # Timestamps stay what they are; of all else plain values of Python come.
    return list(column) if str(column.dtype).startswith("datetime64") else list(column.tolist())
