"""Runs the user's functions: plain ones in a pool of threads, coroutines on the loop of the main thread."""

import os
import threading
from contextvars import Context, copy_context
from typing import Any, Callable, Dict, Generator, Iterator, List, Optional

from . import _guards
from ._call import Call, Waiter, current, thread_state
from ._entry import failed, failure
from ._guards import Slots
from ._output import Output
from ._pool import Pool
from ._turns import Turns
from ._wire import Outbox

class _Cancelled(BaseException):
    """Raised in a thread whose call nobody waits for any more."""


class _Steps:
    """Drives a coroutine, and shows the server whose code the loop runs at each step."""

    __slots__ = ("_coroutine", "_id", "_slots")

    def __init__(self, coroutine: Any, id: int, slots: Slots) -> None:
        self._coroutine = coroutine
        self._id = id
        self._slots = slots

    def __await__(self) -> Generator[Any, Any, Any]:
        return self  # type: ignore[return-value]  # It has all that the loop calls.

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        self._slots.enter(0, self._id)
        try:
            return self._coroutine.send(value)
        finally:
            self._slots.leave(0)

    def throw(self, *error: Any) -> Any:
        self._slots.enter(0, self._id)
        try:
            return self._coroutine.throw(*error)
        finally:
            self._slots.leave(0)

    def close(self) -> None:
        self._coroutine.close()


class Runner:
    """
    Begins, cancels and ends calls.

    :param outbox: Takes the frames that answer calls.
    :param forget: Takes the questions of a call that is cancelled, which nobody answers any more.
    """

    def __init__(self, outbox: Outbox, forget: Callable[[Call], None]) -> None:
        self.slots = Slots(None)
        self.calls: Dict[int, Call] = {}
        self.pool = Pool(self._run_plain, self._refuse, outbox.flush_full, self._thread_begins, self._thread_ends)
        #: What context variables the files have set while they were loaded.
        self.context: Context = copy_context()
        self.loop: Any = None
        self.outputs: List[Output] = []
        self.turns = Turns(outbox)
        self._outbox = outbox
        self._forget = forget
        #: Held while a call begins to end, so that it is cancelled or answered, not both.
        self._ending = threading.Lock()

    def start(self, plain: List[Call], coroutines: List[Call], answered: List[Waiter]) -> None:
        """:param answered: Threads of the pool that have what they asked for."""
        if plain or answered:
            self.pool.feed(plain, answered)
        if coroutines:
            self.loop.call_soon_threadsafe(self._start_coroutines, coroutines, self.turns.begin())

    def cancel(self, id: int) -> None:
        with self._ending:
            call = self.calls.pop(id, None)
            if call is None or call.ended:
                return
            call.ended = True
            # Who waits for an answer is told so in its place.
            interrupts = call.thread is not None and not call.asks
            if interrupts:
                call.lost = True
                _raise_in(call.thread)
        if interrupts:
            self.pool.lost()
        if call.task is not None:
            self.loop.call_soon_threadsafe(call.task.cancel)
        self._forget(call)

    def _thread_begins(self) -> None:
        thread_state.slot = self.slots.add_thread()
        _guards.take_turns()

    def _thread_ends(self) -> None:
        self.slots.remove_thread(thread_state.slot)

    def _run_plain(self, call: Call) -> None:
        if call.ended:
            return
        if not self.slots.pass_gate(call.gate):
            self.calls.pop(call.id, None)
            return
        try:
            self.context.copy().run(self._run_in_context, call)
        except BaseException as error:
            if isinstance(error, MemoryError):
                self._finish(call, failed(call.id, {"code": "feature_failed", "message": "it needs more memory than its worker may have."}))
            elif not isinstance(error, _Cancelled):
                self._finish(call, failed(call.id, failure(error)))
        if call.lost:
            self.pool.found()

    def _run_in_context(self, call: Call) -> None:
        current.set(call)
        slot = thread_state.slot
        with self._ending:
            if call.ended:
                return
            call.thread = threading.get_ident()
        self.slots.enter(slot, call.id)
        try:
            result = call.entry.result(call, call.entry.invoke(call))
        except _Cancelled:
            result = None
        except BaseException as error:
            result = failed(call.id, failure(error))
        finally:
            self.slots.leave(slot)
        self._finish(call, result)

    def tend(self) -> bool:
        """By the reader. @returns whether to call this again in a moment."""
        plain = self.pool.tend()
        return self.turns.tend() or plain

    def _start_coroutines(self, calls: List[Call], turn: int) -> None:
        for call in calls:
            if call.ended:
                continue
            if not self.slots.pass_gate(call.gate):
                self.calls.pop(call.id, None)
                continue
            self.context.copy().run(self._start_coroutine, call)
        self.turns.end_of(turn, self.loop)

    def _start_coroutine(self, call: Call) -> None:
        current.set(call)
        call.task = self.loop.create_task(self._run_coroutine(call))
        if call.ended:
            # Cancelled at this very moment.
            call.task.cancel()

    async def _run_coroutine(self, call: Call) -> None:
        result: Optional[str]
        try:
            self.slots.enter(0, call.id)
            try:
                made = call.entry.invoke(call)
            finally:
                self.slots.leave(0)
            if hasattr(made, "send") and hasattr(made, "throw"):
                value = await _Steps(made, call.id, self.slots)
            else:
                value = await made if hasattr(made, "__await__") else made
            result = call.entry.result(call, value)
        except BaseException as error:
            # Also sys.exit() and a cancellation of its own doing: only its caller is told.
            result = None if call.ended else failed(call.id, failure(error))
        self._finish(call, result)

    def _finish(self, call: Call, result: Optional[str]) -> None:
        if _guards.forked:
            # The child of a fork came back from the function: there is nobody that it could answer.
            os._exit(0)
        with self._ending:
            call.thread = None
            if call.ended:
                return
            call.ended = True
            self.calls.pop(call.id, None)
        if call.printed is not None:
            for output in self.outputs:
                output.end_of_call(call)
        if result is None:
            return
        if call.entry.is_async:
            self.turns.send(result)
        else:
            # The pool sends it, with what else there is.
            self._outbox.put(result)

    def _refuse(self, call: Call) -> None:
        message = "All threads of the worker wait for other features."
        hint = "Let features ask for fewer others, or ask for them at once."
        self._finish(call, failed(call.id, {"code": "overloaded", "message": message, "hint": hint}))
        self._outbox.flush()

    def after_fork(self) -> None:
        """Another thread may have held a lock, which nobody gives back in the child."""
        self._ending = threading.Lock()
        for output in self.outputs:
            output.after_fork()


def _raise_in(thread: Optional[int]) -> None:
    """Ends a loop of Python code; what waits in C code goes on, and its thread counts as lost."""
    if thread is None:
        return
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_Cancelled))
