"""
A process that loads the user's files and runs their functions. The reader thread never runs user code; plain functions run in a pool of
threads, coroutines on the loop of the main thread.
"""

import itertools
import os
import socket
import sys
import threading
import time
from contextvars import copy_context
from typing import Any, Dict, List, Optional, Tuple

from . import _guards
from ._api import feature_types
from ._boot import standard_library_only
from ._call import Call, FutureWaiter, Waiter, current
from ._definitions import Definition, definitions
from ._entry import Entry, failed, thrown_text
from ._guards import PastGuard, Slots
from ._load import Loaded, load
from ._output import Output, follow_logging
from ._pool import thread_start
from ._runner import Runner
from ._values import DEFAULT_MAX_BYTES
from ._wire import Outbox, frame_text, messages

PROTOCOL_VERSION = 1
_WIRE = 3
_REARM_S = 5.0
_CANCELLED = {"code": "feature_failed", "message": "The computation was cancelled: nobody waits for it any more."}


class Worker:
    """One end of the wire. Other files know it as the host of a call: `ask`, `log`, `slots`."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._outbox = Outbox(wire)
        self.slots = Slots(None)
        self._runner = Runner(self._outbox, self._forget)
        self._entries: Dict[str, Entry] = {}
        self._definitions: Dict[int, Definition] = {}
        self._waiting: Dict[int, Tuple[Call, Any]] = {}
        self._next_ask = itertools.count(1)
        self._load_frame: Any = None
        self._may_load = threading.Event()
        self._closed = threading.Event()
        self._armed_at = 0.0
        self._guard: Optional[PastGuard] = None
        self._max_bytes = DEFAULT_MAX_BYTES

    # What the main thread does.

    def run(self) -> None:
        python = ".".join(str(part) for part in sys.version_info[:3])
        self._send({"t": "hello", "version": PROTOCOL_VERSION, "python": python, "executable": sys.executable, "pid": os.getpid()})
        thread_start(threading.Thread(target=self._read, daemon=True, name="fabra reader"))
        self._may_load.wait()
        if self._load_frame is not None:
            self._load(self._load_frame)
        self._stay()

    def _load(self, frame: Dict[str, Any]) -> None:
        limits = frame.get("limits") or {}
        _guards.show_stacks_to(frame.get("dump"))
        _guards.limit_memory(limits.get("memory"))
        self._max_bytes = int(limits.get("valueBytes") or DEFAULT_MAX_BYTES)
        self._runner.pool.resize(int(limits.get("threads") or 32), int(limits.get("maxThreads") or 256))
        self.slots = self._runner.slots = Slots(frame.get("slots"))
        self._runner.outputs = [Output("info", 1, self.print), Output("error", 2, self.print)]
        sys.stdout, sys.stderr = self._runner.outputs
        threading.excepthook = self.thread_failed
        _guards.follow_into_threads()
        if any(_mentions_async(file) for file in frame["files"]):
            # Clients that are made at the top level of a file bind to the loop that is set then.
            self._make_loop()
        loaded = load(frame["files"], frame.get("fabra"))
        self._definitions = {one._id: one for one in definitions()}
        self._guard = PastGuard(loaded.files)
        _remember_types(loaded)
        uses_loop = any(draft["function"] is not None and draft["function"]["isAsync"] for draft in loaded.drafts)
        if uses_loop:
            self._make_loop()
        else:
            self._runner.loop = None
        self._runner.context = copy_context()
        for output in self._runner.outputs:
            output.flush()
        follow_logging()
        self._send({"t": "loaded", **loaded._asdict(), "reads": []})

    def _make_loop(self) -> None:
        if self._runner.loop is not None:
            return
        with standard_library_only():
            import asyncio
            import warnings
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # The file may have made one while it was loaded.
                self._runner.loop = asyncio.get_event_loop()
        except RuntimeError:
            self._runner.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._runner.loop)

    def _stay(self) -> None:
        """Until the server closes the wire: then the interpreter ends as usual, with what the user has registered for that."""
        loop = self._runner.loop
        if loop is None:
            self._closed.wait()
            return
        # The file may have run a loop of its own meanwhile, which then sets none.
        sys.modules["asyncio"].set_event_loop(loop)
        loop.call_soon(self._beat)
        while not self._closed.is_set():
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # Of a task that the user has started: what others wait for goes on.
                continue

    def _beat(self) -> None:
        self._outbox.send('{"t":"beat"}')

    # What the reader thread does.

    def _read(self) -> None:
        try:
            for message in messages(self._wire, self._runner.tend):
                self._receive(message)
            self._end()
        except MemoryError:
            os.write(2, b"The worker ran out of memory.\n")
            os._exit(71)
        except BaseException:
            import traceback

            os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
            os._exit(70)

    def _end(self) -> None:
        _guards.end_when_orphaned(1.0)
        self._closed.set()
        self._may_load.set()
        if self._runner.loop is not None:
            self._runner.loop.call_soon_threadsafe(self._runner.loop.stop)

    def _receive(self, frames: List[Dict[str, Any]]) -> None:
        plain: List[Call] = []
        coroutines: List[Call] = []
        answered: List[Waiter] = []
        answers: Dict[Any, List[Tuple[FutureWaiter, Any]]] = {}
        for frame in frames:
            kind = frame["t"]
            if kind == "call":
                call = self._open(frame)
                if call is not None:
                    (coroutines if call.entry.is_async else plain).append(call)
            elif kind == "answer":
                self._answer(frame, answered, answers)
            else:
                self._obey(kind, frame)
        self._runner.start(plain, coroutines, answered)
        for loop, given in answers.items():
            try:
                if loop is self._runner.loop:
                    loop.call_soon_threadsafe(self._give_all_of_turn, given, self._runner.turns.begin())
                else:
                    loop.call_soon_threadsafe(_give_all, given)
            except RuntimeError:
                pass  # A loop of the user's that has ended.

    def _obey(self, kind: str, frame: Dict[str, Any]) -> None:
        if kind == "cancel":
            self._runner.cancel(frame["id"])
        elif kind == "ping":
            self._pong()
        elif kind == "define":
            self._define(frame)
        elif kind == "load":
            self._load_frame = frame
            self._may_load.set()

    def _pong(self) -> None:
        self._outbox.send('{"t":"pong"}')
        now = time.monotonic()
        if now - self._armed_at >= _REARM_S:
            self._armed_at = now
            try:
                _guards.end_when_orphaned()
            except RuntimeError:
                pass  # No room for a thread just now, because of the user's own; the next ping tries again.
        if self._runner.loop is not None:
            try:
                self._runner.loop.call_soon_threadsafe(self._beat)
            except RuntimeError:
                pass

    def _define(self, frame: Dict[str, Any]) -> None:
        entries: Dict[str, Entry] = {}
        for row in frame["functions"]:
            definition = self._definitions.get(row["definition"])
            if definition is not None and definition._target is not None:
                entries[row["feature"]] = Entry(row, definition, self._max_bytes)
        self._entries = entries

    def _open(self, frame: Dict[str, Any]) -> Optional[Call]:
        id: int = frame["id"]
        entry = self._entries.get(frame["feature"])
        if entry is None:
            message = f'No function of the name "{frame["feature"]}" is loaded.'
            self._outbox.send(failed(id, {"code": "internal", "message": message}))
            return None
        call = Call(id, entry.feature, frame["asOf"], frame["mode"] == "past", self)
        call.entry = entry
        call.scalar = entry.scalar
        try:
            call.keys = entry.keys_of(frame)
        except Exception as error:
            self._outbox.send(failed(id, {"code": "internal", "message": f"The call cannot be read: {error!r}"}))
            return None
        call.inputs = frame.get("inputs")
        call.gate = frame.get("slot", -1)
        if call.past and self._guard is not None and not entry.replay:
            self._guard.install()
        self._runner.calls[id] = call
        return call

    def _answer(self, frame: Dict[str, Any], answered: List[Waiter], answers: Dict[Any, List[Tuple[FutureWaiter, Any]]]) -> None:
        waiting = self._waiting.pop(frame["ask"], None)
        if waiting is None:
            return
        waiter = waiting[1]
        if isinstance(waiter, FutureWaiter):
            answers.setdefault(waiter.loop, []).append((waiter, frame))
        else:
            self._give(waiter, frame, answered)

    # What calls ask for.

    def _forget(self, call: Call) -> None:
        for ask in list(call.asks):
            waiting = self._waiting.pop(ask, None)
            if waiting is not None:
                self._give_now(waiting[1])

    def ask(self, call: Call, question: str, waiter: Any) -> int:
        """:param question: Its JSON text."""
        ask = next(self._next_ask)
        text = f'{{"t":"ask","id":{call.id},"ask":{ask},"question":{question}}}'
        call.asks[ask] = waiter
        self._waiting[ask] = (call, waiter)
        if call.ended and self._waiting.pop(ask, None) is not None:
            # Cancelled at this very moment.
            self._give_now(waiter)
        elif isinstance(waiter, Waiter) and waiter.seat is not None:
            # The pool sends it, with what else there is.
            self._outbox.put(text)
        elif isinstance(waiter, FutureWaiter) and waiter.loop is self._runner.loop:
            self._runner.turns.send(text)
        else:
            self._outbox.send(text)
        return ask

    def _give_all_of_turn(self, given: List[Tuple[FutureWaiter, Any]], turn: int) -> None:
        _give_all(given)
        self._runner.turns.end_of(turn, self._runner.loop)

    @staticmethod
    def _give(waiter: Waiter, answer: Any, answered: List[Waiter]) -> None:
        waiter.answer = answer
        if waiter.seat is None:
            waiter.lock.release()
        else:
            answered.append(waiter)

    def _give_now(self, waiter: Any) -> None:
        """Nobody answers any more."""
        if isinstance(waiter, FutureWaiter):
            waiter.give({"error": _CANCELLED})
            return
        answered: List[Waiter] = []
        self._give(waiter, {"error": _CANCELLED}, answered)
        self._runner.start([], [], answered)

    def log(self, id: int, level: str, message: str, fields: Dict[str, Any]) -> None:
        self._send({"t": "log", "id": id, "level": level, "message": message, "fields": fields})

    def print(self, id: int, level: str, message: str) -> None:
        self.log(id, level, message, {})

    def _send(self, frame: Dict[str, Any]) -> None:
        self._outbox.send(frame_text(frame))

    def after_fork(self) -> None:
        self._outbox.after_fork()
        self._runner.after_fork()

    def thread_failed(self, failed_: Any) -> None:
        """In the place of what Python prints of a thread of the user's that ended by an exception."""
        if failed_.exc_value is None or isinstance(failed_.exc_value, SystemExit):
            return
        call = current.get()
        name = failed_.thread.name if failed_.thread is not None else "?"
        self.log(0 if call is None else call.id, "error", f"The thread {name} ended: {thrown_text(failed_.exc_value)}", {})


def _give_all(given: List[Tuple[FutureWaiter, Any]]) -> None:
    for waiter, answer in given:
        waiter._set(answer)


def _mentions_async(file: str) -> bool:
    try:
        with open(file, "rb") as opened:
            return b"async" in opened.read()
    except OSError:
        return False


def _remember_types(loaded: Loaded) -> None:
    for draft in loaded.drafts:
        options, name = draft["options"], draft["options"].get("name") or draft["name"]
        if draft["kind"] != "feature" or not isinstance(name, str):
            continue
        columns = options.get("columns")
        if isinstance(columns, dict):
            feature_types[name] = columns
            feature_types.update({f"{name}.{column}": kind for column, kind in columns.items()})
        elif isinstance(options.get("type"), str):
            feature_types[name] = options["type"]


def main() -> None:
    sys.setswitchinterval(0.001)
    # What user code starts is no worker.
    os.environ.pop("FABRA_WORKER", None)
    os.set_inheritable(_WIRE, False)
    wire = socket.socket(fileno=_WIRE)
    wire.setblocking(True)
    _guards.be_first_to_go()
    worker = Worker(wire)
    _guards.guard_forks(_WIRE, worker.after_fork)
    worker.run()
