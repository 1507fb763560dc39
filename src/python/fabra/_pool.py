"""
Threads that run plain functions. A thread that waits for an answer of the server does not count as running: in a fixed pool functions that
wait for other functions of the same worker would wait forever.

All threads share the interpreter's lock, and to wake one costs more than a short function does. So as long as a thread runs what is known to be
short, it goes on by itself with what waits, and hands over to the next thread only when it must wait itself. Functions that take longer, or
have not shown yet how long they take, get their threads at once. A short one that takes long for once is noticed by whoever calls `tend`.
"""

import bisect
import itertools
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, List, Optional

from ._call import Call, Waiter, thread_state

#: Python's own default reserves 8 MB a thread, which counts as used memory under RLIMIT_DATA.
_STACK = 4 * 1024 * 1024
#: How long a thread of a rush is kept: a new one for each call would cost more than the call.
_LINGER_S = 10.0
#: A function that runs for longer without asking the server is not short.
_SHORT_S = 0.0005
#: What a long run counts in short ones, and from when on a function is not short: a thread may be kept from running by others, too.
_LONG_COUNTS = 3
_NOT_SHORT = 6
#: After so long without a step somebody else goes on.
_STUCK_S = 0.001


class Pace:
    """How long the calls of a function have run without asking the server."""

    __slots__ = ("_long", "short")

    def __init__(self) -> None:
        self._long = _NOT_SHORT
        #: Whether most take so little that to wake a thread for each would cost more.
        self.short = False

    def ran(self, seconds: float) -> None:
        if seconds > _SHORT_S:
            self._long = min(self._long + _LONG_COUNTS, 2 * _NOT_SHORT)
            self.short = self._long < _NOT_SHORT
        elif self._long > 0:
            self._long -= 1
            self.short = self._long < _NOT_SHORT


class _Seat:
    """A thread of the pool. Each waits for a lock of its own."""

    __slots__ = ("age", "baton", "item", "since", "turn")

    def __init__(self, age: int, item: Optional[Call]) -> None:
        self.age = age
        self.baton = threading.Lock()
        self.baton.acquire()
        #: What it was woken for.
        self.item = item
        self.since = 0.0
        #: In which it counts as brisk; -1 when it does not.
        self.turn = -1

    def __lt__(self, other: "_Seat") -> bool:
        return self.age < other.age


class Pool:
    """`run(call)` must not raise. What cannot be run because every thread waits is given to `refuse`."""

    def __init__(
        self,
        run: Callable[[Call], None],
        refuse: Callable[[Call], None],
        flush: Callable[[bool], None] = lambda now: None,
        begin: Callable[[], None] = lambda: None,
        end: Callable[[], None] = lambda: None,
        running: int = 32,
        most: int = 256,
    ) -> None:
        self._run = run
        self._refuse = refuse
        #: Sends what calls have said; where more follows at once, only if there is much of it.
        self._flush = flush
        #: What a new thread does first, and one that is not needed any more at last.
        self._begin = begin
        self._end = end
        self._limit = running
        self._most = most
        self._lock = threading.Lock()
        self._queue: Deque[Call] = deque()
        #: Who was answered, and goes on as soon as a thread hands over.
        self._ready: Deque[Waiter] = deque()
        #: The youngest is woken first: the others stay asleep, and faulthandler shows the youngest hundred threads, so that one that is stuck
        #: is among them.
        self._idle: List[_Seat] = []
        self._ages = itertools.count()
        self._running = 0
        self._threads = 0
        #: Threads that run what is short, of this turn. A turn ends when they are found stuck.
        self._brisk = 0
        self._turn = 0
        self._steps = 0
        self._seen_steps = 0
        self._seen_at = 0.0

    def resize(self, running: int, most: int) -> None:
        with self._lock:
            self._limit = running
            self._most = most

    def feed(self, calls: List[Call], answered: List[Waiter]) -> None:
        """:param answered: Threads of the pool that have their answer."""
        with self._lock:
            self._queue.extend(calls)
            for waiter in answered:
                if waiter.seat is not None and not waiter.woken:
                    self._ready.append(waiter)
            wakes = self._wakes()
        self._wake(wakes)

    def wait(self, waiter: Waiter, call: Call) -> None:
        """The calling thread of the pool waits for an answer."""
        seat: _Seat = thread_state.seat
        call.entry.pace.ran(time.perf_counter() - seat.since)
        with self._lock:
            self._leave(seat)
            wakes = self._wakes()
            more = self._brisk > 0
        self._flush(not more)
        self._wake(wakes)
        try:
            waiter.lock.acquire()
        finally:
            if not waiter.woken:
                with self._lock:
                    self._resume(waiter)
            seat.since = time.perf_counter()

    def lost(self) -> None:
        """A thread runs something that nobody waits for and that cannot be ended."""
        with self._lock:
            self._running -= 1
            wakes = self._wakes()
        self._wake(wakes)

    def found(self) -> None:
        with self._lock:
            self._running += 1

    def tend(self) -> bool:
        """@returns whether to call this again in a moment. Lets others go on where a short function takes long."""
        with self._lock:
            if not (self._brisk or self._queue or self._ready):
                return False
            now = time.perf_counter()
            if self._steps != self._seen_steps:
                self._seen_steps = self._steps
                self._seen_at = now
                return True
            if now - self._seen_at < _STUCK_S:
                return True
            self._seen_at = now
            self._brisk = 0
            self._turn += 1
            wakes = self._wakes()
            busy = self._brisk > 0 or bool(self._ready)
        self._flush(True)
        self._wake(wakes)
        return busy

    # With the lock.

    def _enter(self, seat: _Seat, call: Call) -> None:
        self._running += 1
        self._steps += 1
        if call.entry.pace.short:
            self._brisk += 1
            seat.turn = self._turn
        else:
            seat.turn = -1

    def _leave(self, seat: _Seat) -> None:
        self._running -= 1
        self._steps += 1
        if seat.turn == self._turn:
            self._brisk -= 1
        seat.turn = -1

    def _resume(self, waiter: Waiter) -> None:
        if not waiter.woken:
            waiter.woken = True
            self._enter(waiter.seat, waiter.call)

    def _wakes(self) -> List[Any]:
        """What to wake: waiters, threads that were given an item, and True for what can only be refused."""
        wakes: List[Any] = []
        ready, queue = self._ready, self._queue
        while ready and not (self._brisk and ready[0].call.entry.pace.short):
            waiter = ready.popleft()
            if not waiter.woken:
                self._resume(waiter)
                wakes.append(waiter)
        while queue and self._running < self._limit and not (self._brisk and queue[0].entry.pace.short):
            if self._idle:
                seat = self._idle.pop()
                seat.item = queue.popleft()
            elif self._threads < self._most:
                self._threads += 1
                seat = _Seat(-1, queue.popleft())
            else:
                if self._running <= 0 and not ready:
                    wakes.append(True)
                break
            self._enter(seat, seat.item)  # type: ignore[arg-type]  # It was just given.
            wakes.append(seat)
        return wakes

    # Without it.

    def _wake(self, wakes: List[Any]) -> None:
        for one in wakes:
            if one is True:
                self._refuse_all()
            elif isinstance(one, Waiter):
                one.lock.release()
            elif one.age < 0:
                self._new_thread(one)
            else:
                one.baton.release()

    def _refuse_all(self) -> None:
        while True:
            with self._lock:
                if not self._queue or self._running > 0 or self._ready:
                    return
                item = self._queue.popleft()
            self._refuse(item)

    def _retires(self, own: _Seat) -> bool:
        """Waits to be woken. @returns whether nobody did: of a rush that is over, and with many threads nobody finds the one that is stuck."""
        if own.baton.acquire(timeout=_LINGER_S):
            return False
        with self._lock:
            if own.item is None:
                self._idle.remove(own)
                self._threads -= 1
                return True
        # Somebody has just chosen it.
        own.baton.acquire()
        return False

    def _new_thread(self, seat: _Seat) -> None:
        seat.age = next(self._ages)
        thread = threading.Thread(target=self._work, args=(seat,), daemon=True, name="fabra")
        before = threading.stack_size()
        try:
            if before == 0:
                threading.stack_size(_STACK)
            # Not start(), which follows the call of who starts it.
            thread_start(thread)
        except (RuntimeError, MemoryError):
            with self._lock:
                self._leave(seat)
                self._threads -= 1
                self._queue.appendleft(seat.item)  # type: ignore[arg-type]  # It was started for one.
                alone = self._running <= 0
            if alone:
                self._refuse_all()
        finally:
            if before == 0:
                threading.stack_size(0)

    def _work(self, seat: _Seat) -> None:
        thread_state.pool = self
        thread_state.seat = seat
        self._begin()
        while True:
            item, seat.item = seat.item, None
            while item is not None:
                seat.since = time.perf_counter()
                self._run(item)
                item.entry.pace.ran(time.perf_counter() - seat.since)
                # A frame that is kept would keep what the call has given.
                item = None
                with self._lock:
                    self._leave(seat)
                    if self._queue and self._running < self._limit and not self._brisk:
                        item = self._queue.popleft()
                        self._enter(seat, item)
                    else:
                        is_spare = len(self._idle) >= self._limit
                        bisect.insort(self._idle, seat)
                    wakes = self._wakes()
                    more = self._brisk > 0
                self._flush(not more)
                self._wake(wakes)
            if not is_spare:
                seat.baton.acquire()
            elif self._retires(seat):
                self._end()
                return


#: As it was before user code could follow calls into threads.
thread_start = threading.Thread.start
