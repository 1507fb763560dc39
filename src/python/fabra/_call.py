"""One running call of a user's function. It follows what the function starts, through threads and tasks."""

import sys
import threading
from contextvars import ContextVar
from typing import Any, Dict, Optional

from ._errors import FabraError

#: A scalar annotation makes `db.query` give the value itself.
SCALARS = ("int", "float", "string", "bool", "timestamp")


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
    """A thread that waits for an answer. One of the pool is woken by it."""

    __slots__ = ("lock", "answer", "call", "seat", "woken")

    def __init__(self, call: Call, seat: Any) -> None:
        self.call = call
        #: Its place in the pool; None for a thread of the user's.
        self.seat = seat
        self.woken = False
        self.lock = threading.Lock()
        self.lock.acquire()
        self.answer: Any = None



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
