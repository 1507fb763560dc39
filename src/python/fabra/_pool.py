"""
Threads that run plain functions. A thread that waits for an answer of the server does not count as running: in a fixed pool functions that
wait for other functions of the same worker would wait forever.
"""

import bisect
import itertools
import threading
from collections import deque
from typing import Any, Callable, Deque, List, Tuple

from ._call import thread_state

#: Python's own default reserves 8 MB a thread, which counts as used memory under RLIMIT_DATA.
_STACK = 4 * 1024 * 1024
#: How long a thread of a rush is kept: a new one for each call would cost more than the call.
_LINGER_S = 10.0


class Pool:
    """`run(item)` must not raise. What cannot be run because every thread waits is given to `refuse`."""

    def __init__(
        self,
        run: Callable[[Any], None],
        refuse: Callable[[Any], None],
        begin: Callable[[], None] = lambda: None,
        end: Callable[[], None] = lambda: None,
        running: int = 32,
        most: int = 256,
    ) -> None:
        self._run = run
        self._refuse = refuse
        #: What a new thread does first, and one that is not needed any more at last.
        self._begin = begin
        self._end = end
        self._limit = running
        self._most = most
        self._lock = threading.Lock()
        self._queue: Deque[Any] = deque()
        #: Each idle thread waits for a lock of its own. The youngest is woken first: the others stay asleep, and faulthandler shows the youngest
        #: hundred threads, so that one that is stuck is among them.
        self._idle: List[Tuple[int, Any]] = []
        self._ages = itertools.count()
        self._running = 0
        self._threads = 0

    def resize(self, running: int, most: int) -> None:
        with self._lock:
            self._limit = running
            self._most = most

    def submit(self, items: List[Any]) -> None:
        with self._lock:
            self._queue.extend(items)
            start = self._may_start()
        self._start(start)

    def begin_wait(self) -> None:
        """The calling thread of the pool is about to wait for an answer."""
        with self._lock:
            self._running -= 1
            start = self._may_start()
        self._start(start)

    def end_wait(self) -> None:
        with self._lock:
            self._running += 1

    def lost(self) -> None:
        """A thread runs something that nobody waits for and that cannot be ended."""
        self.begin_wait()

    def found(self) -> None:
        self.end_wait()

    def _may_start(self) -> Any:
        """With the lock: what to wake for what is queued. None: nothing; a lock: that thread; True: a new thread; False: there can be none."""
        if not self._queue or self._running >= self._limit:
            return None
        if self._idle:
            self._running += 1
            return self._idle.pop()[1]
        if self._threads < self._most:
            self._running += 1
            self._threads += 1
            return True
        return None if self._running > 0 else False

    def _start(self, start: Any) -> None:
        if start is None:
            return
        if start is False:
            self._refuse_all()
        elif start is True:
            self._new_thread()
        else:
            start.release()

    def _refuse_all(self) -> None:
        while True:
            with self._lock:
                if not self._queue or self._running > 0:
                    return
                item = self._queue.popleft()
            self._refuse(item)

    def _retires(self, own: Tuple[int, Any]) -> bool:
        """Waits to be woken. @returns whether nobody did: of a rush that is over, and with many threads nobody finds the one that is stuck."""
        baton = own[1]
        if baton.acquire(timeout=_LINGER_S):
            return False
        with self._lock:
            if own in self._idle:
                self._idle.remove(own)
                self._threads -= 1
                return True
        # Somebody has just chosen it.
        baton.acquire()
        return False

    def _new_thread(self) -> None:
        thread = threading.Thread(target=self._work, daemon=True, name="fabra")
        before = threading.stack_size()
        try:
            if before == 0:
                threading.stack_size(_STACK)
            # Not start(), which follows the call of who starts it.
            thread_start(thread)
        except (RuntimeError, MemoryError):
            with self._lock:
                self._running -= 1
                self._threads -= 1
                alone = self._running <= 0
            if alone:
                self._refuse_all()
        finally:
            if before == 0:
                threading.stack_size(0)

    def _work(self) -> None:
        thread_state.pool = self
        self._begin()
        baton = threading.Lock()
        baton.acquire()
        own = (next(self._ages), baton)
        while True:
            with self._lock:
                # This thread counts as running already.
                item = self._queue.popleft() if self._queue else None
                if item is not None and self._running > self._limit:
                    # Others came back from waiting meanwhile.
                    self._queue.appendleft(item)
                    item = None
                if item is None:
                    self._running -= 1
                    start = None
                    is_spare = len(self._idle) >= self._limit
                    bisect.insort(self._idle, own)
                else:
                    start = self._may_start()
            if item is None:
                if is_spare and self._retires(own):
                    self._end()
                    return
                if not is_spare:
                    baton.acquire()
                continue
            self._start(start)
            self._run(item)
            # A frame that is kept would keep what the call has given.
            item = None


#: As it was before user code could follow calls into threads.
thread_start = threading.Thread.start
