"""How a user's function is called with the texts of a key, and what its value says."""

import inspect
import sys
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ._boot import _STANDARD
from ._call import SCALARS, Call
from ._definitions import _PACKAGE, Definition
from ._parameters import is_async, parameters_of
from ._errors import FabraError
from ._cells import decode
from ._containers import sequence_items
from ._refusals import hint_for, shown, wrong
from ._pool import Pace
from ._times import read_time
from ._values import encode_columns
from ._wire import frame_text, text_json

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_FIRST_FRAMES = 10
_LAST_FRAMES = 20


class Entry:
    """A function that the server may call."""

    def __init__(self, row: Mapping[str, Any], definition: Definition, max_bytes: int) -> None:
        self.feature: str = row["feature"]
        self.fn: Callable[..., Any] = definition._target
        self.is_async = is_async(self.fn)
        self.columns: List[Dict[str, Any]] = list(row["columns"])
        self.batch = row.get("batch") is not None
        self.nan: str = row.get("nan") or "error"
        #: How long its calls take; see Pool.
        self.pace = Pace()
        self.replay = definition._options.get("replay") is True
        self.max_bytes = max_bytes
        only = self.columns[0] if len(self.columns) == 1 else None
        self.scalar = not self.batch and only is not None and only["name"] is None and only["type"] in SCALARS
        self._key: List[Tuple[str, str]] = [(column["name"], column["type"]) for column in row["key"]]
        self._inputs: Dict[str, str] = dict(row.get("inputs") or {})
        parameters = parameters_of(self.fn)
        self._by_name = _takes_by_name([name for name, _ in self._key], parameters)
        self._plain_key = len(self._key) == 1 and not self._by_name and not self.batch and self._key[0][1] == "string" and not self._inputs
        self._as_dicts = self.batch and len(self._key) > 1 and not self._by_name and _positional_count(parameters) == 1
        first = next(iter(parameters.values()), None)
        self._uuid_as_text = first is not None and first.annotation in (str, "str")

    def keys_of(self, frame: Mapping[str, Any]) -> Any:
        """Texts of one key, or of all keys of a batch."""
        if not self.batch:
            return frame["key"]
        keys = frame.get("keys")
        return keys if keys is not None else [frame["key"]]

    def invoke(self, call: Call) -> Any:
        if self._plain_key:
            return self.fn(call.keys[0])
        inputs = self._typed_inputs(call.inputs)
        if self.batch:
            return self._invoke_batch(call.keys, inputs)
        values = self._values(call.keys)
        if self._by_name:
            return self.fn(**dict(zip((name for name, _ in self._key), values)), **inputs)
        return self.fn(*values, **inputs)

    def _invoke_batch(self, keys: List[List[str]], inputs: Dict[str, Any]) -> Any:
        rows = [self._values(key) for key in keys]
        names = [name for name, _ in self._key]
        if self._as_dicts:
            return self.fn([dict(zip(names, row)) for row in rows], **inputs)
        lists = [list(column) for column in zip(*rows)] if rows else [[] for _ in names]
        if self._by_name:
            return self.fn(**dict(zip(names, lists)), **inputs)
        return self.fn(*lists, **inputs)

    def _values(self, texts: List[str]) -> List[Any]:
        return [self._key_value(kind, text) for (_, kind), text in zip(self._key, texts)]

    def _key_value(self, kind: str, text: str) -> Any:
        if kind == "int":
            return int(text)
        if kind == "uuid" and not self._uuid_as_text:
            return uuid.UUID(text)
        return text

    def _typed_inputs(self, given: Any) -> Dict[str, Any]:
        if not self._inputs:
            return {}
        if isinstance(given, list):
            return {name: [_input(kind, (one or {}).get(name)) for one in given] for name, kind in self._inputs.items()}
        given = given or {}
        if self.batch:
            return {name: [_input(kind, given.get(name))] for name, kind in self._inputs.items()}
        return {name: _input(kind, given[name]) for name, kind in self._inputs.items() if name in given}

    def result(self, call: Call, value: Any) -> str:
        """The frame that answers the call."""
        if self.batch:
            return self._batch_result(call, value)
        try:
            texts = encode_columns(self.columns, value, self.nan, self.max_bytes)
        except FabraError as error:
            return failed(call.id, plain_failure(error))
        return f'{{"t":"result","id":{call.id},"texts":[{",".join(map(text_json, texts))}]}}'

    def _batch_result(self, call: Call, value: Any) -> str:
        items = sequence_items(value)
        count = len(call.keys)
        if items is None:
            hint = hint_for(value) or "Return a list with one value per key, in the order of the keys."
            error = wrong(f"expected a list of {count} values, one per key, got {shown(value)}.", hint)
            if inspect.iscoroutine(value):
                value.close()
            return failed(call.id, plain_failure(error))
        if len(items) != count:
            hint = "Return one value per key, in the order of the keys; None where nothing is known."
            return failed(call.id, plain_failure(wrong(f"expected {count} values, one per key, got {len(items)}.", hint)))
        elements: List[Dict[str, Any]] = []
        for item in items:
            if isinstance(item, BaseException):
                elements.append({"texts": None, "error": failure(item)})
                continue
            try:
                elements.append({"texts": encode_columns(self.columns, item, self.nan, self.max_bytes)})
            except FabraError as error:
                elements.append({"texts": None, "error": plain_failure(error)})
        return f'{{"t":"result","id":{call.id},"elements":{frame_text(elements)}}}'


def _positional_count(parameters: Mapping[str, inspect.Parameter]) -> int:
    return sum(1 for one in parameters.values() if one.kind in _POSITIONAL and one.default is inspect.Parameter.empty)


def _takes_by_name(names: List[str], parameters: Mapping[str, inspect.Parameter]) -> bool:
    if len(names) == 1:
        only = parameters.get(names[0])
        return only is not None and only.kind is inspect.Parameter.KEYWORD_ONLY
    by_name = {name for name, one in parameters.items() if one.kind not in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)}
    rest = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    return rest or all(name in by_name for name in names)


def _input(kind: str, value: Any) -> Any:
    value = decode(value)
    if kind == "float" and type(value) is int:
        return float(value)
    if kind == "timestamp" and isinstance(value, str):
        try:
            return read_time(value)
        except ValueError:
            return value
    return value


def failed(id: int, error: Mapping[str, Any]) -> str:
    return f'{{"t":"result","id":{id},"texts":null,"error":{frame_text(error)}}}'


def plain_failure(error: FabraError) -> Dict[str, Any]:
    failure_: Dict[str, Any] = {"code": error.code, "message": error.message}
    if error.hint is not None:
        failure_["hint"] = error.hint
    return failure_


def failure(error: BaseException) -> Dict[str, Any]:
    """What the user's function raised. An error of ours that passed through it keeps its code."""
    thrown = thrown_text(error)
    if isinstance(error, FabraError):
        made = {**plain_failure(error), "thrown": thrown}
        if error.shown:
            made["shown"] = True
        return made
    if isinstance(error, MemoryError):
        hint = "Raise FABRA_WORKER_MEMORY, or let it hold less at a time."
        message = "it needs more memory than its worker may have."
        return {"code": "feature_failed", "message": message, "hint": hint, "thrown": thrown, "shown": True}
    return {"code": "feature_failed", "message": "", "thrown": thrown}


def thrown_text(error: BaseException) -> str:
    """Message and stack, down to where Fabra called the function. Deep stacks lose their middle."""
    lines: List[str] = []
    cause: Optional[BaseException] = error
    for _ in range(4):
        if cause is None:
            break
        if lines:
            lines.append("caused by")
        lines.extend(_message_and_stack(cause))
        for part in _parts(cause):
            lines.append("with")
            lines.extend(_message_and_stack(part))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(lines)


def _parts(error: BaseException) -> List[BaseException]:
    """Of an exception group, as task groups raise it: it says nothing itself."""
    parts = getattr(error, "exceptions", None)
    found: List[BaseException] = []
    for part in parts if isinstance(parts, tuple) else ():
        if isinstance(part, BaseException) and len(found) < 4:
            found.extend(_parts(part) or [part])
    return found[:4]


def _message_and_stack(error: BaseException) -> List[str]:
    try:
        text = str(error)
    except BaseException:
        text = "(its message cannot be made)"
    if len(text) > 4000:
        text = text[:4000] + "…"
    name = type(error).__qualname__
    lines = [f"{name}: {text}" if text else name]
    frames: List[Tuple[str, int, str]] = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            frames.append((code.co_filename, step.tb_lineno, code.co_name))
        step = step.tb_next
    first = next((index for index, frame in enumerate(frames) if not frame[0].startswith(_STANDARD)), 0)
    # How a thread or a task comes to run the user's code tells nothing.
    del frames[:first]
    omitted = len(frames) - _FIRST_FRAMES - _LAST_FRAMES
    if omitted > 0:
        frames[_FIRST_FRAMES : len(frames) - _LAST_FRAMES] = [("", omitted, "")]
    for file, line, function in frames:
        if file == "":
            lines.append(f"  … {line} more")
            continue
        lines.append(f'  File "{file}", line {line}, in {function}')
        source = _source_line(file, line)
        if source:
            lines.append(f"    {source}")
    return lines


def _source_line(file: str, line: int) -> str:
    linecache = sys.modules.get("linecache")
    if linecache is None:
        return ""
    try:
        return str(linecache.getline(file, line)).strip()[:200]
    except Exception:
        return ""


__all__ = ["Entry", "failed", "failure", "plain_failure", "thrown_text"]
