"""What keeps a worker in bounds, and what shows the server what it is doing."""

import faulthandler
import mmap
import os
import signal
import struct
import sys
import sysconfig
import threading
from contextvars import copy_context
from typing import Any, Callable, Iterable, List, Optional, Tuple

from ._boot import _STANDARD
from ._call import current
from ._definitions import _PACKAGE
from ._errors import FabraError

#: Beyond the limit that is watched from outside, so that short peaks pass and a leap ends in a MemoryError.
_MEMORY_HEADROOM = 512 * 1024 * 1024
_ORPHANED_AFTER_S = 60
_GATES = 1024


class Slots:
    """
    The memory that the server sees: gates of calls, and which thread runs whose code. It can be read while this process is stuck in C code.
    Words of 32 bits; a thread has four: its native id, the id of the call, and its ident in two halves.
    """

    def __init__(self, path: Optional[str]) -> None:
        self._lock = threading.Lock()
        self._map: Any = None
        self._words: Any = None
        self._next = 1
        #: Of threads that have ended.
        self._free: List[int] = []
        if path:
            with open(path, "r+b") as file:
                self._map = mmap.mmap(file.fileno(), 0)
            self._words = memoryview(self._map).cast("i")
            self._describe(0)

    def add_thread(self) -> int:
        """For the calling thread. -1 when there is no room."""
        if self._words is None:
            return -1
        with self._lock:
            if self._free:
                slot = self._free.pop()
            else:
                slot = self._next
                if _GATES + 4 * slot + 4 > len(self._words):
                    return -1
                self._next += 1
        self._describe(slot)
        return slot

    def remove_thread(self, slot: int) -> None:
        if slot < 0 or self._words is None:
            return
        at = _GATES + 4 * slot
        for word in range(at, at + 4):
            self._words[word] = 0
        with self._lock:
            self._free.append(slot)

    def _describe(self, slot: int) -> None:
        at = _GATES + 4 * slot
        native = getattr(threading, "get_native_id", lambda: 0)()
        ident = threading.get_ident()
        self._words[at], self._words[at + 1] = native, 0
        low, high = struct.unpack("ii", struct.pack("II", ident & 0xFFFFFFFF, (ident >> 32) & 0xFFFFFFFF))
        self._words[at + 2], self._words[at + 3] = low, high

    def enter(self, slot: int, call: int) -> None:
        if slot >= 0 and self._words is not None:
            self._words[_GATES + 4 * slot + 1] = call

    def leave(self, slot: int) -> None:
        if slot >= 0 and self._words is not None:
            self._words[_GATES + 4 * slot + 1] = 0

    def pass_gate(self, gate: int) -> bool:
        """@returns whether the call may begin: the server withdraws calls that have waited for too long, to give them to another worker."""
        if gate < 0 or self._words is None:
            return True
        if self._words[gate] == 3:
            self._words[gate] = 0
            return False
        self._words[gate] = 2
        return True


def limit_memory(bytes_: Optional[int]) -> None:
    """A wall for private memory: an allocation beyond it is a MemoryError, and the worker lives."""
    if bytes_ is None or sys.platform != "linux":
        return
    import resource

    wanted = int(bytes_) + _MEMORY_HEADROOM
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    except (ValueError, OSError):
        pass


def be_first_to_go() -> None:
    """Where memory runs out the kernel shall take a worker, not the server."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
    except OSError:
        pass


def take_turns() -> None:
    """
    The calling thread does not interrupt others of its kind when it is woken. Who wakes it still holds the interpreter's lock, so that it could
    only fall asleep again. What it starts is like any other thread or program.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except (AttributeError, OSError):
        pass


_dump_file: Any = None


def show_stacks_to(path: Optional[str]) -> None:
    """On SIGUSR1 every thread's stack goes to that file, even while C code holds the interpreter's lock."""
    global _dump_file
    if path and hasattr(faulthandler, "register"):
        _dump_file = open(path, "w")
        faulthandler.register(signal.SIGUSR1, file=_dump_file, all_threads=True)


_nowhere: Any = None


def end_when_orphaned(seconds: float = _ORPHANED_AFTER_S) -> None:
    """Ends the process when this is not called again in time, even where C code holds the interpreter's lock."""
    global _nowhere
    if _nowhere is None:
        _nowhere = open(os.devnull, "w")
    faulthandler.dump_traceback_later(seconds, exit=True, file=_nowhere)


forked = False


def guard_forks(descriptor: int, in_child: Callable[[], None]) -> None:
    """A child must not speak on the wire: two results would come of one call."""

    def after() -> None:
        global forked
        forked = True
        in_child()
        try:
            empty = os.open(os.devnull, os.O_RDWR)
            # The number stays taken, so that no file of the child gets it.
            os.dup2(empty, descriptor)
            if empty != descriptor:
                os.close(empty)
        except OSError:
            pass

    def in_parent() -> None:
        if _nowhere is not None:
            end_when_orphaned()

    if hasattr(os, "register_at_fork"):
        # In a child the thread that watches is gone, and cancelling it there would wait for its end for ever.
        os.register_at_fork(before=faulthandler.cancel_dump_traceback_later, after_in_parent=in_parent, after_in_child=after)


def follow_into_threads() -> None:
    """Threads and executors that a call starts belong to it. Nothing changes for what is started outside of calls."""
    start = threading.Thread.start

    def start_in_context(self: Any) -> None:
        if current.get() is not None:
            _patch_executors()
            context = copy_context()
            run = self.run
            self.run = lambda: context.run(run)
        start(self)

    start_in_context.__doc__ = start.__doc__
    threading.Thread.start = start_in_context  # type: ignore[method-assign]


_executors_patched = False


def _patch_executors() -> None:
    """Once somebody has imported them; the first thread of an executor is started after its first item is queued, and has that call's context."""
    global _executors_patched
    module = sys.modules.get("concurrent.futures.thread")
    if _executors_patched or module is None:
        return
    executor = getattr(module, "ThreadPoolExecutor", None)
    if executor is None:
        return
    _executors_patched = True
    submit = executor.submit

    def submit_in_context(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if current.get() is None:
            return submit(self, fn, *args, **kwargs)
        return submit(self, copy_context().run, fn, *args, **kwargs)

    submit_in_context.__doc__ = submit.__doc__
    executor.submit = submit_in_context


_REFUSED = {
    "socket.connect": "connects to another machine",
    "socket.sendto": "sends to another machine",
    "subprocess.Popen": "starts a program",
    "os.system": "starts a program",
    "os.exec": "starts a program",
    "os.posix_spawn": "starts a program",
    "os.spawn": "starts a program",
    "sqlite3.connect": "opens a database",
}
_INSTEAD = (
    "Training must see what was known at the time of each row: read by db and get, or say replay=True if what it reads never changes. "
    "With replay=False training takes what was recorded while it was served."
)


class PastGuard:
    """Refuses to a computation of the past what would show it the present."""

    def __init__(self, project_files: Iterable[str]) -> None:
        self._project_files = frozenset(project_files)
        self._installed = False
        self._places: Tuple[str, ...] = ()

    def install(self) -> None:
        """Hooks cannot be taken back, and cost a little: only workers that compute the past have one."""
        if not self._installed:
            self._installed = True
            # Takes as long as all else that the guard does when a worker starts: most never need it.
            self._places = tuple(dict.fromkeys(os.path.realpath(path) for path in _open_to_all()))
            sys.addaudithook(self._look)

    def _look(self, event: str, args: Tuple[Any, ...]) -> None:
        if event != "open" and event not in _REFUSED:
            return
        call = current.get()
        if call is None or not call.past or call.ended or call.entry is None or call.entry.replay:
            return
        if event == "open":
            if self._may_open(args[0]):
                return
            what = f"opens {os.fsdecode(args[0])!r}"
        else:
            if event == "sqlite3.connect" and args and args[0] == ":memory:":
                return
            what = _REFUSED[event]
        where = self._users_line()
        message = f"it {what}{where}, which is refused while the past is computed."
        raise FabraError("feature_failed", message, _INSTEAD, shown=True)

    def _may_open(self, path: Any) -> bool:
        if isinstance(path, int):
            return True
        try:
            real = os.path.realpath(os.fsdecode(path))
        except (TypeError, ValueError):
            return True
        if real.startswith(self._places) and any(real == place or real.startswith(place + os.sep) for place in self._places):
            return True
        # Code that is imported late.
        return real.endswith((".py", ".pyc", ".so")) or real.startswith(("/proc/", "/sys/"))

    def _users_line(self) -> str:
        frame: Any = sys._getframe(2)
        while frame is not None:
            file = frame.f_code.co_filename
            if os.path.abspath(file) in self._project_files:
                return f" at {os.path.basename(file)}:{frame.f_lineno}"
            frame = frame.f_back
        return ""


def _open_to_all() -> List[str]:
    """Of Python, its packages and the system: nothing there tells of the present."""
    places = [_STANDARD, _PACKAGE.rstrip(os.sep), "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo", "/etc/localtime", os.devnull]
    places += [path for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return places + [path for path in sys.path if "site-packages" in path or "dist-packages" in path]
