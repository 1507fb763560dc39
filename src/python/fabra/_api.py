"""What user code says to the server while a feature is computed: db, get, as_of, log."""

import datetime
import json
from typing import Any, Awaitable, Callable, Dict, Generator, List, Mapping, Union

from ._call import Call, FutureWaiter, Waiter, running_call, running_loop, thread_state
from ._cells import decode, parameter
from ._definitions import Column, Definition, Feature, definition_of
from ._errors import FabraError
from ._refusals import shown
from ._times import from_micros, read_time
from ._wire import frame_text, text_json

#: Types of features by name, for what is asked for by name or by definition. Filled when the files are loaded.
feature_types: Dict[str, Any] = {}


class Pending(Awaitable[Any]):
    """What `db` and `get` give in an `async def`. It is nothing until it is awaited, and says so."""

    __slots__ = ("_call", "_question", "_read", "_what", "_told", "__weakref__")

    def __init__(self, call: Call, question: str, read: Callable[[Any], Any], what: str) -> None:
        self._call = call
        self._question = question
        self._read = read
        self._what = what
        self._told = False

    def __del__(self) -> None:
        if not self._told and not self._call.ended:
            self._call.host.log(self._call.id, "warn", f"{self._what} was never awaited, so it was never asked. Write await {self._what}.", {})

    def __await__(self) -> Generator[Any, None, Any]:
        self._told = True
        call = self._call
        waiter = FutureWaiter(running_loop())
        ask = call.host.ask(call, self._question, waiter)
        try:
            answer = yield from waiter.future.__await__()
        finally:
            call.asks.pop(ask, None)
        return _result(answer, self._read)

    def __repr__(self) -> str:
        return f"<{self._what} that was not awaited: write await {self._what}>"

    def _misused(self, *_: Any, **__: Any) -> Any:
        self._told = True
        raise FabraError("feature_failed", f"{self._what} was used without await.", f"Await it: await {self._what}.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            # Libraries look for such names to find out what they have.
            raise AttributeError(name)
        return self._misused()


def _misuse(name: str) -> None:
    def method(self: Pending, *args: Any) -> Any:
        return self._misused()

    method.__name__ = name
    setattr(Pending, name, method)


for _name in (
    "len iter getitem bool contains next int float index str format add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod "
    "lt le gt ge eq ne neg abs round enter exit"
).split():
    _misuse(f"__{_name}__")
Pending.__hash__ = object.__hash__  # type: ignore[method-assign]


def _result(answer: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
    error = answer.get("error")
    if error is not None:
        raise FabraError(error.get("code", "feature_failed"), error.get("message", ""), error.get("hint"), bool(error.get("shown")))
    return read(answer)


def _ask(call: Call, question: str, read: Callable[[Any], Any], what: str) -> Any:
    if running_loop() is not None:
        return Pending(call, question, read, what)
    host = call.host
    pool = getattr(thread_state, "pool", None)
    waiter = Waiter(call, None if pool is None else thread_state.seat)
    ask = host.ask(call, question, waiter)
    if pool is None:
        waiter.lock.acquire()
    else:
        slots, slot = host.slots, thread_state.slot
        slots.leave(slot)
        try:
            pool.wait(waiter, call)
        finally:
            slots.enter(slot, call.id)
    call.asks.pop(ask, None)
    return _result(waiter.answer, read)


class Db:
    """Reads the sources as of the time of the computation. In an `async def` await what it gives."""

    __slots__ = ()

    def query(self, sql: str, /, *params: Any) -> Any:
        """The rows as dicts; where the feature's annotation is a scalar, one row of one column is that value."""
        call = running_call("db")
        return self._run(call, sql, params, _value_or_rows if call.scalar else _rows, "db.query(…)")

    def fetch(self, sql: str, /, *params: Any) -> Any:
        """The rows as dicts."""
        return self._run(running_call("db"), sql, params, _rows, "db.fetch(…)")

    def fetchrow(self, sql: str, /, *params: Any) -> Any:
        """The first row as a dict; None when there is none."""
        return self._run(running_call("db"), sql, params, _first_row, "db.fetchrow(…)")

    def fetchval(self, sql: str, /, *params: Any) -> Any:
        """The first column of the first row; None when there is none."""
        return self._run(running_call("db"), sql, params, _first_value, "db.fetchval(…)")

    @staticmethod
    def _run(call: Call, sql: Any, params: Any, read: Callable[[Any], Any], what: str) -> Any:
        if not isinstance(sql, str):
            raise TypeError(f"db takes the SQL text first, got {shown(sql)}.")
        if len(params) == 1 and type(params[0]) is tuple:
            # As the drivers of Python take them: execute(sql, (a, b)).
            params = params[0]
        cells = frame_text([parameter(value, index) for index, value in enumerate(params)]) if params else "[]"
        return _ask(call, f'{{"kind":"query","sql":{text_json(sql)},"params":{cells}}}', read, what)


def _rows(answer: Any) -> List[Dict[str, Any]]:
    columns, rows = answer["rows"]["columns"], answer["rows"]["rows"]
    return [dict(zip(columns, map(decode, row))) for row in rows]


def _value_or_rows(answer: Any) -> Any:
    columns, rows = answer["rows"]["columns"], answer["rows"]["rows"]
    return decode(rows[0][0]) if len(columns) == 1 and len(rows) == 1 else _rows(answer)


def _first_row(answer: Any) -> Any:
    columns, rows = answer["rows"]["columns"], answer["rows"]["rows"]
    return dict(zip(columns, map(decode, rows[0]))) if rows else None


def _first_value(answer: Any) -> Any:
    rows = answer["rows"]["rows"]
    return decode(rows[0][0]) if rows and rows[0] else None


db = Db()


def get(feature: Union[Feature, Column, Callable[..., Any], str], /) -> Any:
    """The value of another feature for the same key, as it would be served now, or as it was at the time that is computed for."""
    call = running_call("get")
    name, types = _name_and_types(feature)
    return _ask(call, f'{{"kind":"get","name":{text_json(name)}}}', lambda answer: _part(answer, types), "get(…)")


def _part(answer: Any, types: Any) -> Any:
    text = answer["part"].get("text")
    value = None if text is None else json.loads(text)
    if types is None or value is None:
        return value
    if isinstance(types, dict):
        return {name: _typed(part, types.get(name)) for name, part in value.items()} if isinstance(value, dict) else value
    return _typed(value, types)


def _typed(value: Any, type_name: Any) -> Any:
    """5.0 is stored as 5, and a time as its text."""
    if type_name == "float" and type(value) is int:
        return float(value)
    if type_name == "timestamp" and isinstance(value, str):
        return read_time(value)
    return value


def _name_and_types(feature: Any) -> Any:
    if isinstance(feature, str):
        name = str.__str__(feature)
    elif isinstance(feature, Column):
        name = f"{_name_of(feature._feature)}.{feature._column}"
    else:
        definition = definition_of(feature)
        if definition is None:
            raise TypeError(f'get() takes a feature, or the name of one such as "spend.avg_30d", got {shown(feature)}.')
        name = _name_of(definition)
    return name, feature_types.get(name)


def _name_of(definition: Definition) -> str:
    if definition._name is None:
        raise TypeError(f"{definition!r} has no name, so get() cannot ask for it.")
    return definition._name


def as_of() -> datetime.datetime:
    """The time that is computed for: now when a value is served, the row's own in training."""
    return from_micros(running_call("as_of()", may_have_ended=True).as_of)


class Log:
    """`log.info("scored", user=user_id)` writes to the server's log, with the feature's name. `log("…")` is info."""

    __slots__ = ()

    def __call__(self, message: Any, *args: Any, **fields: Any) -> None:
        self._write("info", message, args, fields)

    def debug(self, message: Any, *args: Any, **fields: Any) -> None:
        self._write("debug", message, args, fields)

    def info(self, message: Any, *args: Any, **fields: Any) -> None:
        self._write("info", message, args, fields)

    def warn(self, message: Any, *args: Any, **fields: Any) -> None:
        self._write("warn", message, args, fields)

    warning = warn

    def error(self, message: Any, *args: Any, **fields: Any) -> None:
        self._write("error", message, args, fields)

    @staticmethod
    def _write(level: str, message: Any, args: Any, fields: Dict[str, Any]) -> None:
        call = running_call("log", may_have_ended=True)
        text = message if isinstance(message, str) else repr(message)
        if len(args) == 1 and isinstance(args[0], Mapping):
            fields = {**{str(name): value for name, value in args[0].items()}, **fields}
        elif args:
            # As the logging module of the standard library takes them.
            text = text % args
        call.host.log(call.id, level, text, {name: _field(value) for name, value in fields.items()})


def _field(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return float(value) if value - value == 0 else repr(value)
    return repr(value)[:2000]


log = Log()
