"""What each call asks of the server and makes of the answers, without sending anything: the same for both clients."""

import json
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union, cast
from urllib.parse import quote

from ._errors import ClientError, InvalidInput, MissingPackage, NotFound, SchemaMismatch, error_of
from ._frames import package
from ._plain import plain, time_text, to_json
from ._progress import progress_of
from ._requests import ARROW_STREAM, Answer, Operation, Request, json_request
from ._results import Features, FeatureTable, FeatureValue, TrainingSet, WriteReceipt
from ._rows import Row, Rows, frame_kind, rows_of
from ._types import decode, read_time

Names = Union[str, Sequence[str], None]

#: Rows of one request; the server takes 10,000 and 8 MiB.
READ_ROWS = 5_000
WRITE_ROWS = 5_000
_WRITE_BYTES = 6 * 1024 * 1024
#: From so many on, a table of Arrow is asked for, where pyarrow is loaded anyway.
_ARROW_ROWS = 1_000


def catalogue() -> Operation[Dict[str, Any]]:
    found: Dict[str, Any] = {}
    for path, name in (("features", "features"), ("entities", "entities"), ("sources", "sources"), ("feature-sets", "feature_sets")):
        answer = yield json_request("GET", f"/v1/{path}")
        found[name] = answer.json()[name]
    return found


def _asked(features: Names, feature_set: Optional[str], max_age: Optional[str]) -> Dict[str, Any]:
    if (features is None) == (feature_set is None):
        raise InvalidInput("Give either features or feature_set.", 'features(["spend"], rows), or features(feature_set="fraud_v1", rows=rows).')
    asked: Dict[str, Any] = {"feature_set": feature_set} if features is None else {"features": [features] if isinstance(features, str) else list(features)}
    if max_age is not None:
        asked["max_age"] = max_age
    return asked


def feature(name: str, key: Any, inputs: Optional[Mapping[str, Any]], max_age: Optional[str]) -> Operation[FeatureValue[Any]]:
    row: Row = dict(key) if isinstance(key, Mapping) else {"entity_id": key}
    rows = rows_of({**row, **(inputs or {})})
    found = yield from _read_json(_asked([name], None, max_age), rows)
    return _one_value(name, found)


def _one_value(name: str, found: Features) -> FeatureValue[Any]:
    found.raise_for_errors()
    one = found._results[0]
    # A feature with columns, asked for as a whole, is an object of them.
    columns = [ref[len(name) + 1 :] for ref in found.names if ref.startswith(f"{name}.")]
    values = [decode(found.types[ref], value) for ref, value in zip(found.names, one["values"])]
    status = str(one["statuses"][0])
    value = values[0] if not columns else None if status == "missing" else dict(zip(columns, values))
    at = one["event_timestamps"][0]
    age = found.ages[0][found.names[0]]
    return FeatureValue(name, one["entity"], value, status, one["served_from"][0], age, None if at is None else read_time(at))


def features(names: Names, rows: Rows, feature_set: Optional[str], max_age: Optional[str], arrow: Optional[bool]) -> Operation[Features]:
    asked = _asked(names, feature_set, max_age)
    given = rows_of(rows)
    wants_table = arrow if arrow is not None else len(given) >= _ARROW_ROWS and "pyarrow" in sys.modules
    if wants_table:
        return (yield from _read_arrow(asked, given))
    return (yield from _read_json(asked, given))


def _read_json(asked: Mapping[str, Any], rows: List[Row]) -> Operation[Features]:
    names: List[str] = []
    types: List[str] = []
    results: List[Mapping[str, Any]] = []
    errors: List[Any] = []
    for start in range(0, max(1, len(rows)), READ_ROWS):
        body = to_json({**asked, "rows": rows[start : start + READ_ROWS], "detailed": True})
        answer = (yield json_request("POST", "/v1/features", body)).json()
        if start > 0 and (answer["features"] != names or answer["types"] != types):
            raise SchemaMismatch("The definitions of the server changed while it was read.", "Read again.")
        names, types = answer["features"], answer["types"]
        if len(answer["results"]) != len(rows[start : start + READ_ROWS]):
            raise SchemaMismatch(f"The answer has {len(answer['results'])} results for {len(rows[start : start + READ_ROWS])} rows.")
        results.extend(answer["results"])
        errors.extend((start + one["row"], one["feature"], error_of(one)) for one in answer.get("errors", []))
    return Features(names, types, results, errors)


def _read_arrow(asked: Mapping[str, Any], rows: List[Row]) -> Operation[Features]:
    pa = package("pyarrow", "A table of Arrow")
    ipc = package("pyarrow.ipc", "A table of Arrow")
    tables = []
    for start in range(0, max(1, len(rows)), READ_ROWS):
        body = to_json({**asked, "rows": rows[start : start + READ_ROWS]})
        answer = yield json_request("POST", "/v1/features", body, headers={"accept": ARROW_STREAM})
        tables.append(ipc.open_stream(answer.content).read_all())
    metadata = [json.loads(table.schema.metadata[b"fabra"]) for table in tables]
    if any(one["types"] != metadata[0]["types"] for one in metadata):
        raise SchemaMismatch("The definitions of the server changed while it was read.", "Read again.")
    errors = [{**error, "row": i * READ_ROWS + error["row"]} for i, one in enumerate(metadata) for error in one.get("errors", [])]
    whole = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    return FeatureTable(whole.replace_schema_metadata({"fabra": json.dumps({**metadata[0], "errors": errors})}))


def push(name: str, rows: Rows, progress: Optional[bool]) -> Operation[WriteReceipt]:
    given = rows_of(rows)
    if any("value" not in row and "delete" not in row for row in given):
        given = yield from _with_values(name, given)
    return (yield from _write(f"/v1/features/{quote(name, safe='')}/values", f"push {name}", given, progress, {}))


def _with_values(name: str, rows: List[Row]) -> Operation[List[Row]]:
    """Columns that are called as the feature or its columns are become its value, as DataFrames have them."""
    known = {str(one["name"]): one for one in (yield json_request("GET", "/v1/features")).json()["features"]}
    columns = list(known.get(name, {}).get("columns", {}))

    def valued(row: Row) -> Row:
        if "value" in row or "delete" in row:
            return row
        if columns:
            rest = {key: value for key, value in row.items() if key not in columns}
            return {**rest, "value": {column: row[column] for column in columns if column in row}}
        rest = {key: value for key, value in row.items() if key != name}
        return {**rest, "value": row[name]} if name in row else row

    return [valued(row) for row in rows]


def append(source: str, rows: Rows, idempotency_key: Optional[str], progress: Optional[bool]) -> Operation[WriteReceipt]:
    headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
    return (yield from _write(f"/v1/sources/{quote(source, safe='')}/rows", f"append {source}", rows_of(rows), progress, headers))


def _write(path: str, what: str, rows: List[Row], progress: Optional[bool], headers: Mapping[str, str]) -> Operation[WriteReceipt]:
    """In lots that are all written or not at all. An error says how many rows were written before it."""
    bar = progress_of(what, len(rows), "rows", progress if len(rows) > WRITE_ROWS else False)
    accepted = duplicates = fenced = done = 0
    try:
        for number, (lot, body) in enumerate(_lots(rows)):
            own = {name: value if number == 0 else f"{value}:{number}" for name, value in headers.items()}
            try:
                receipt = (yield json_request("POST", path, body, is_read=False, headers=own)).json()
            except ClientError as error:
                if done > 0:
                    error.args = (f"{error.args[0]} (The {done} rows before were written; rows are counted from there.)",)
                raise
            accepted += receipt["accepted"]
            duplicates += receipt["duplicates"]
            fenced += receipt.get("fenced", 0)
            done += lot
            bar.to(done)
    finally:
        bar.close()
    return WriteReceipt(accepted, duplicates, fenced)


def _lots(rows: List[Row]) -> "List[tuple[int, bytes]]":
    lots = []
    start = 0
    while start < len(rows):
        count = min(WRITE_ROWS, len(rows) - start)
        body = to_json({"rows": rows[start : start + count]})
        while len(body) > _WRITE_BYTES and count > 1:
            count = max(1, count // 2)
            body = to_json({"rows": rows[start : start + count]})
        lots.append((count, body))
        start += count
    return lots


def forget(entity: str, key: Any) -> Operation[Dict[str, Any]]:
    columns = {name: str(plain(value)) for name, value in key.items()} if isinstance(key, Mapping) else {}
    identity = "-" if columns else quote(str(plain(key)), safe="")
    answer = yield json_request("DELETE", f"/v1/entities/{quote(entity, safe='')}/{identity}", is_read=False, params=columns)
    receipt: Dict[str, Any] = answer.json()
    receipt["forgotten_at"] = read_time(receipt["forgotten_at"])
    return receipt


def training_set(labels: Any, names: Names, options: Mapping[str, Any], progress: Optional[bool]) -> Operation[TrainingSet]:
    asked = {name: value for name, value in options.items() if value is not None and value is not False}
    if "snapshot" in asked and not isinstance(asked["snapshot"], str):
        asked["snapshot"] = time_text(asked["snapshot"])
    asked["features"] = [names] if isinstance(names, str) else list(names or [])
    asked["format"] = "arrow"
    bar = progress_of("training set", 1, "set", progress)
    identity = str(uuid.uuid4())
    folder = Path(tempfile.mkdtemp(prefix="fabra-"))
    into = folder / "set.arrow"
    kept = False
    try:
        request = _training_request(labels, asked, folder, into, identity, lambda state: bar.to(float(state.get("progress") or 0)))
        answer = yield request
        report = yield from _report(identity, answer)
        bar.to(1)
        kept = True
        return TrainingSet(into, report, int(answer.headers.get("x-fabra-rows", "0")))
    finally:
        bar.close()
        _clean(folder, except_for=into if kept else None)


def _clean(folder: Path, except_for: Optional[Path]) -> None:
    for path in folder.iterdir():
        if path != except_for:
            path.unlink()
    if except_for is None:
        folder.rmdir()


def _report(identity: str, answer: Answer) -> Operation[Mapping[str, Any]]:
    try:
        return cast(Mapping[str, Any], (yield json_request("GET", f"/v1/training-sets/{identity}")).json())
    except NotFound:
        # Another replica made it: the set itself tells the most of it.
        return {"id": identity, "dataset_hash": answer.headers.get("x-fabra-dataset-hash")}


def _training_request(
    labels: Any, asked: Mapping[str, Any], folder: Path, into: Path, identity: str, watch: Callable[[Mapping[str, Any]], None]
) -> Request:
    def request(content: Union[bytes, Path, None], kind: Optional[str], params: Mapping[str, str]) -> Request:
        headers = {"x-request-id": identity, "accept": "application/vnd.apache.arrow.file", **({} if kind is None else {"content-type": kind})}
        path = f"/v1/training-sets/{identity}"
        return Request("POST", "/v1/training-sets", params, headers, content, into=into, watch=watch, watch_path=path)

    params = {name: _param(value) for name, value in asked.items()}
    if isinstance(labels, (str, Path)):
        if isinstance(labels, str) and len(labels.split()) > 1 and not _is_file(labels):
            return request(to_json({**asked, "labels_sql": labels}), "application/json", {})
        if not _is_file(labels):
            raise InvalidInput(f"There is no file {str(labels)!r}.", 'Labels are a DataFrame, a file, or a query: "SELECT …".')
        return request(Path(labels), _content_type(Path(labels)), params)
    kind = frame_kind(labels)
    table = _table_of(labels) if kind == "" else None
    if table is not None:
        kind, labels = "arrow", table
    if kind == "":
        return request(to_json({**asked, "rows": rows_of(labels)}), "application/json", {})
    return request(_label_file(kind, labels, folder / "labels.arrow"), ARROW_STREAM, params)


def _table_of(labels: Any) -> Any:
    """Rows as a table, in which times stay times; None where they are sent as JSON: without pyarrow, or of values that have no type in common."""
    if not isinstance(labels, list) or not labels or not all(isinstance(row, Mapping) for row in labels):
        return None
    try:
        pa = package("pyarrow", "A table of Arrow")
    except MissingPackage:
        return None
    try:
        return pa.Table.from_pylist([dict(row) for row in labels])
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _is_file(path: Union[str, Path]) -> bool:
    try:
        return Path(path).is_file()
    except OSError:
        return False


def _content_type(path: Path) -> str:
    kinds = {".parquet": "application/vnd.apache.parquet", ".csv": "text/csv", ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson"}
    return kinds.get(path.suffix.lower(), "application/vnd.apache.arrow.file")


def _param(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return "true" if value is True else str(value)


def _label_file(kind: str, labels: Any, path: Path) -> Path:
    if kind == "polars":
        frame = labels.collect() if type(labels).__name__ == "LazyFrame" else labels
        # Without the types that came later than most readers of Arrow.
        frame.write_ipc_stream(path, compat_level=package("polars", "A DataFrame of polars").CompatLevel.oldest())
        return path
    pa = package("pyarrow", "Training from a DataFrame")
    ipc = package("pyarrow.ipc", "Training from a DataFrame")
    if kind == "pandas":
        table = pa.Table.from_pandas(labels, preserve_index=False)
    else:
        table = labels if hasattr(labels, "to_batches") else pa.Table.from_batches([labels])
    with pa.OSFile(str(path), "wb") as file, ipc.new_stream(file, table.schema) as writer:
        writer.write(table)
    return path

