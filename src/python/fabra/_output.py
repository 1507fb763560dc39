"""What user code prints goes to the server's log, with the name of the feature that prints it."""

import io
import sys
import threading
import time
from typing import Any, Callable, Iterable, List

from ._call import Call, current

#: Characters in one message of the log.
_MOST_IN_MESSAGE = 16 * 1024
#: Characters that one call may print; the rest is counted and left out.
_MOST_IN_CALL = 256 * 1024

Print = Callable[[int, str, str], None]


class _Printed:
    """What one call prints."""

    __slots__ = ("parts", "length", "total", "dropped")

    def __init__(self) -> None:
        self.parts: List[str] = []
        self.length = 0
        self.total = 0
        self.dropped = 0


class Output(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`."""

    def __init__(self, level: str, descriptor: int, send: Print) -> None:
        super().__init__()
        self._level = level
        self._descriptor = descriptor
        self._send = send
        self._lock = threading.RLock()
        self._outside = _Printed()
        self._second = 0.0
        self.buffer = _Bytes(self)

    encoding = "utf-8"
    errors = "backslashreplace"
    mode = "w"

    @property
    def name(self) -> str:
        return "<stdout>" if self._descriptor == 1 else "<stderr>"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._descriptor

    def reconfigure(self, **_: Any) -> None:
        """Accepted, as files that are written for a terminal call it."""

    def close(self) -> None:
        """Others print here, too."""

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        call = current.get()
        follow_logging()
        with self._lock:
            printed = self._of(call)
            room = _MOST_IN_CALL - printed.total
            printed.total += len(text)
            kept = text if len(text) <= room else text[: max(0, room)]
            printed.dropped += len(text) - len(kept)
            if kept:
                printed.parts.append(kept)
                printed.length += len(kept)
            if "\n" in kept or printed.length > _MOST_IN_MESSAGE:
                self._emit(printed, call, whole=False)
        return len(text)

    def writelines(self, lines: Iterable[Any], /) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        call = current.get()
        with self._lock:
            self._emit(self._of(call), call, whole=True)

    def record(self, level: str, message: str) -> None:
        """A record of the logging module, which knows its level."""
        call = current.get()
        with self._lock:
            printed = self._of(call)
            if printed.total >= _MOST_IN_CALL:
                printed.dropped += len(message)
                return
            printed.total += len(message)
        self._send(0 if call is None else call.id, level, message[:_MOST_IN_MESSAGE])

    def after_fork(self) -> None:
        """Another thread may have held the lock, which nobody gives back in the child."""
        self._lock = threading.RLock()

    def end_of_call(self, call: Call) -> None:
        if call.printed is None:
            return
        with self._lock:
            printed = self._of(call)
            self._emit(printed, call, whole=True)
            self._tell_left_out(printed, call.id)

    def _tell_left_out(self, printed: _Printed, id: int) -> None:
        if printed.dropped > 0:
            self._send(id, "warn", f"… and {printed.dropped} more characters that were printed, left out here.")
            printed.dropped = 0

    def _of(self, call: Any) -> _Printed:
        if call is None:
            # Nobody ends the count outside of calls, so it is a second's.
            now = time.monotonic()
            if now - self._second >= 1:
                self._second = now
                self._outside.total = 0
                self._tell_left_out(self._outside, 0)
            return self._outside
        if call.printed is None:
            call.printed = {}
        found: Any = call.printed.get(self._descriptor)
        if found is None:
            found = call.printed[self._descriptor] = _Printed()
        return found  # type: ignore[no-any-return]

    def _emit(self, printed: _Printed, call: Any, whole: bool) -> None:
        text = "".join(printed.parts)
        rest = ""
        if not whole and len(text) <= _MOST_IN_MESSAGE:
            end = text.rfind("\n")
            text, rest = text[:end], text[end + 1 :]
        elif text.endswith("\n"):
            text = text[:-1]
        printed.parts = [rest] if rest else []
        printed.length = len(rest)
        if not text:
            return
        for start in range(0, len(text), _MOST_IN_MESSAGE):
            self._send(0 if call is None else call.id, self._level, text[start : start + _MOST_IN_MESSAGE])


_LEVELS = ((40, "error"), (30, "warn"), (20, "info"), (0, "debug"))
_logging_followed = False


def follow_logging() -> None:
    """Records that go to the terminal keep their level, once somebody uses the logging module."""
    global _logging_followed
    logging = sys.modules.get("logging")
    if _logging_followed or not hasattr(logging, "StreamHandler"):
        return
    _logging_followed = True
    emit = logging.StreamHandler.emit  # type: ignore[union-attr]

    def emit_with_level(self: Any, record: Any) -> None:
        if not isinstance(self.stream, Output):
            emit(self, record)
            return
        try:
            level = next(name for least, name in _LEVELS if record.levelno >= least)
            self.stream.record(level, self.format(record))
        except Exception:
            self.handleError(record)

    logging.StreamHandler.emit = emit_with_level  # type: ignore[union-attr]


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        given = bytes(data)
        self._output.write(given.decode("utf-8", "backslashreplace"))
        return len(given)

    def flush(self) -> None:
        self._output.flush()

    def close(self) -> None:
        """As that of the text."""
