"""Columns of typed values as DataFrames of pandas and polars and tables of Arrow. Each package is imported when it is asked for."""

import json
from importlib import import_module
from typing import Any, Dict, List, Mapping, Optional

from ._errors import MissingPackage
from ._types import element_of, is_list, is_whole, read_json

Columns = Mapping[str, List[Any]]
Types = Mapping[str, str]


def package(name: str, why: str) -> Any:
    try:
        return import_module(name)
    except ImportError as cause:
        distribution = name.split(".")[0]
        raise MissingPackage(f"{why} needs {distribution}, which is not installed.", f"Install {distribution} beside fabra.") from cause


def arrow_type(declared: str) -> Any:
    """What a column of Arrow has for a type; JSON text for what is not declared down to its parts."""
    pa = package("pyarrow", "A table of Arrow")
    element = element_of(declared)
    if not is_whole(declared):
        return pa.string()
    if element is not None:
        return pa.list_(arrow_type(element)) if is_list(declared) else pa.map_(pa.string(), arrow_type(element))
    plain = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "timestamp": pa.timestamp("us", tz="UTC")}
    return plain.get(declared, pa.string())


def columns_to_arrow(columns: Columns, types: Types) -> Any:
    pa = package("pyarrow", "A table of Arrow")
    arrays = {}
    for name, values in columns.items():
        declared = types.get(name, "string")
        if not is_whole(declared):
            values = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        arrays[name] = pa.array([_pairs(declared, value) for value in values], arrow_type(declared))
    return pa.table(arrays).replace_schema_metadata({"fabra": json.dumps({"types": dict(types)})})


def _pairs(declared: str, value: Any) -> Any:
    """Maps are pairs to Arrow, at every depth."""
    element = element_of(declared)
    if value is None or element is None or not is_whole(declared):
        return value
    if is_list(declared):
        return [_pairs(element, part) for part in value]
    return [(key, _pairs(element, part)) for key, part in value.items()]


def columns_to_pandas(columns: Columns, types: Types) -> Any:
    pd = package("pandas", "A DataFrame of pandas")
    data = {name: _series(pd, types.get(name, "string"), values) for name, values in columns.items()}
    return pd.DataFrame(data, columns=list(columns))


def _series(pd: Any, declared: str, values: List[Any]) -> Any:
    has_nulls = any(value is None for value in values)
    if declared == "int":
        return pd.Series(values, dtype="Int64" if has_nulls else "int64")
    if declared == "bool":
        return pd.Series(values, dtype="boolean" if has_nulls else "bool")
    if declared == "float":
        return pd.Series(values, dtype="float64")
    if declared == "timestamp":
        return pd.Series(values, dtype="datetime64[us, UTC]")
    if declared == "string":
        return pd.Series(values, dtype=_text_dtype(pd))
    return _objects(pd, values)


def _text_dtype(pd: Any) -> str:
    # Of objects it is until pandas 3, whose own type of text holds missing values.
    return "object" if int(pd.__version__.split(".")[0]) < 3 else "str"


def _objects(pd: Any, values: List[Any]) -> Any:
    """Lists and dicts as they are: pandas would take a list of lists for a matrix."""
    cells = package("numpy", "A DataFrame of pandas").empty(len(values), dtype=object)
    for i, value in enumerate(values):
        cells[i] = value
    return pd.Series(cells)


def columns_to_polars(columns: Columns, types: Types) -> Any:
    pl = package("polars", "A DataFrame of polars")
    return pl.DataFrame([_polars_series(pl, name, types.get(name, "string"), values) for name, values in columns.items()])


def _polars_series(pl: Any, name: str, declared: str, values: List[Any]) -> Any:
    kind = polars_type(pl, declared)
    return pl.Series(name, values, dtype=kind) if kind is not None else pl.Series(name, values, dtype=pl.Object)


def polars_type(pl: Any, declared: str) -> Any:
    """None for dicts and whatever else has no type of its own there: they are objects of Python."""
    element = element_of(declared)
    if element is not None:
        inner = polars_type(pl, element) if is_list(declared) and is_whole(declared) else None
        return None if inner is None else pl.List(inner)
    plain = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean, "string": pl.String, "timestamp": pl.Datetime("us", "UTC")}
    return plain.get(declared)


def declared_types(table: Any) -> Dict[str, str]:
    """As features declare them, where the metadata of a table says so."""
    metadata = json.loads((table.schema.metadata or {}).get(b"fabra", b"{}"))
    types: Dict[str, str] = metadata.get("types", {})
    return types


def arrow_values(column: Any, declared: Optional[str] = None) -> List[Any]:
    """Values of a column as Python has them: JSON texts read, maps as dicts."""
    values: List[Any] = column.to_pylist()
    if declared is not None and not is_whole(declared):
        return [None if value is None else read_json(value) for value in values]
    pa = package("pyarrow", "A table of Arrow")
    return [_dicts(pa, column.type, value) for value in values] if pa.types.is_nested(column.type) else values


def _dicts(pa: Any, kind: Any, value: Any) -> Any:
    """Pairs of a map as a dict, at every depth."""
    if value is None or not pa.types.is_nested(kind):
        return value
    if pa.types.is_map(kind):
        return {key: _dicts(pa, kind.item_type, part) for key, part in value}
    if pa.types.is_struct(kind):
        return {field.name: _dicts(pa, field.type, value[field.name]) for field in kind}
    return [_dicts(pa, kind.value_type, part) for part in value]


def arrow_to_pandas(table: Any, types: Types) -> Any:
    """Each column by itself: they are not copied into one block of a kind, which would take the memory twice."""
    pd = package("pandas", "A DataFrame of pandas")
    data: Dict[str, Any] = {}
    for name in table.column_names:
        data[name] = _arrow_series(pd, table.column(name), types.get(name))
    return pd.DataFrame(data, columns=list(table.column_names), copy=False)


def _arrow_series(pd: Any, column: Any, declared: Optional[str]) -> Any:
    pa = package("pyarrow", "A DataFrame of pandas")
    kind = column.type
    if (declared is not None and not is_whole(declared)) or pa.types.is_nested(kind):
        return _objects(pd, arrow_values(column, declared))
    if column.null_count > 0 and (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        name = "boolean" if pa.types.is_boolean(kind) else str(kind).replace("uint", "UInt").replace("int", "Int")
        return column.to_pandas(types_mapper=lambda _: pd.api.types.pandas_dtype(name))
    return column.to_pandas()


def arrow_to_polars(table: Any, types: Types) -> Any:
    pl = package("polars", "A DataFrame of polars")
    series = []
    for name in table.column_names:
        declared = types.get(name)
        if declared is not None and polars_type(pl, declared) is None:
            series.append(pl.Series(name, arrow_values(table.column(name), declared), dtype=pl.Object))
        else:
            series.append(pl.Series(name, pl.from_arrow(table.column(name))))
    return pl.DataFrame(series)


