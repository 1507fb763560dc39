"""What user code says to the server while a feature is computed: db, get, as_of, log. They follow the call through threads and tasks."""

import datetime
import json
import sys
import threading
from contextvars import ContextVar
from typing import Any, Awaitable, Callable, Dict, Generator, List, Mapping, Optional, Union

from ._definitions import Column, Definition, Feature, definition_of
from ._errors import FabraError
from ._times import from_micros
from ._cells import decode, parameter
from ._refusals import shown

#: A scalar annotation makes `db.query` give the value itself.
_SCALARS = ("int", "float", "string", "bool", "timestamp")
_LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "warning": "warn", "error": "error"}


class Call:
    """One running call of a user's function, and its way to the server."""

    __slots__ = (
        "id",
        "feature",
        "as_of",
        "past",
        "scalar",
        "host",
        "ended",
        "asks",
        "printed",
        "entry",
        "keys",
        "inputs",
        "gate",
        "task",
        "thread",
        "lost",
    )

    def __init__(self, id: int, feature: str, as_of: int, past: bool, host: Any) -> None:
        self.id = id
        self.feature = feature
        self.as_of = as_of
        self.past = past
        self.host = host
        self.scalar = False
        self.ended = False
        #: Waiters of questions that are not answered yet.
        self.asks: Dict[int, Any] = {}
        #: What it has printed so far.
        self.printed: Any = None
        #: How its function is called.
        self.entry: Any = None
        #: Texts of one key, or of all keys of a batch.
        self.keys: Any = None
        self.inputs: Any = None
        self.gate = -1
        #: Where it runs: a task of the loop, or the thread's ident.
        self.task: Any = None
        self.thread: Optional[int] = None
        #: It was cancelled and its thread may run on.
        self.lost = False


current: "ContextVar[Optional[Call]]" = ContextVar("fabra_call", default=None)
#: Set where a thread of the pool works: its pool must know that it waits.
thread_state = threading.local()


def running_call(what: str, may_have_ended: bool = False) -> Call:
    call = current.get()
    if call is None:
        hint = f"Use {what} only while a feature is computed, not at the top level of the file or in a thread of your own that no call started."
        raise FabraError("feature_failed", f"{what} was used outside a feature function.", hint)
    if call.ended and not may_have_ended:
        hint = "Wait for every thread and task that the function starts."
        raise FabraError("feature_failed", f'The computation of "{call.feature}" has ended; db and get cannot be used any more.', hint)
    return call


def running_loop() -> Any:
    """The event loop that runs in this thread, if any."""
    asyncio = sys.modules.get("asyncio")
    return asyncio._get_running_loop() if asyncio is not None and hasattr(asyncio, "_get_running_loop") else None


class Waiter:
    """A thread that waits for an answer."""

    __slots__ = ("lock", "answer")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.answer: Any = None

    def give(self, answer: Any) -> None:
        self.answer = answer
        self.lock.release()


class FutureWaiter:
    """A coroutine that waits for an answer, on whatever loop it runs."""

    __slots__ = ("loop", "future")

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.future = loop.create_future()

    def give(self, answer: Any) -> None:
        try:
            self.loop.call_soon_threadsafe(self._set, answer)
        except RuntimeError:
            pass  # The loop has ended, and with it who waited.

    def _set(self, answer: Any) -> None:
        if not self.future.done():
            self.future.set_result(answer)


class Pending(Awaitable[Any]):
    """What `db` and `get` give in an `async def`. It is nothing until it is awaited, and says so."""

    __slots__ = ("_call", "_question", "_read", "_what", "_told", "__weakref__")

    def __init__(self, call: Call, question: Dict[str, Any], read: Callable[[Any], Any], what: str) -> None:
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


def _ask(call: Call, question: Dict[str, Any], read: Callable[[Any], Any], what: str) -> Any:
    if running_loop() is not None:
        return Pending(call, question, read, what)
    waiter = Waiter()
    host = call.host
    pool = getattr(thread_state, "pool", None)
    ask = host.ask(call, question, waiter)
    if pool is None:
        waiter.lock.acquire()
    else:
        slots, slot = host.slots, thread_state.slot
        slots.leave(slot)
        pool.begin_wait()
        try:
            waiter.lock.acquire()
        finally:
            pool.end_wait()
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
        cells = [parameter(value, index) for index, value in enumerate(params)]
        return _ask(call, {"kind": "query", "sql": sql, "params": cells}, read, what)


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
    return _ask(call, {"kind": "get", "name": name}, lambda answer: _part(answer, types), "get(…)")


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
        return _read_time(value)
    return value


def _read_time(text: str) -> datetime.datetime:
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else moment


#: Types of features by name, for what is asked for by name or by definition. Filled when the files are loaded.
feature_types: Dict[str, Any] = {}


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
