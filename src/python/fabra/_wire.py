"""The socket to the server: frames as JSON arrays with their length before them."""

import errno
import json
import os
import select
import socket
import threading
from collections import deque
from typing import Any, Callable, Deque, Iterator, List

_write_json = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False, ensure_ascii=True).encode
#: Typeshed does not know it.
_read_json: Callable[[str, int], Any] = getattr(json.JSONDecoder(), "scan_once")
_TEND_MS = 1
_READ = 256 * 1024
#: One message does not grow beyond this while there are several frames to send.
_MESSAGE = 1024 * 1024
#: Frames that are sent though more follow at once.
_ENOUGH = 16
#: User code has closed the descriptor (as programs do that go to the background), or a file of its own has got the number.
_TAKEN_AWAY = (errno.EBADF, errno.ENOTSOCK)
#: Exit code that the server knows.
WIRE_TAKEN_AWAY = 74

frame_text = _write_json
#: Of a text alone, much quicker.
text_json = json.encoder.encode_basestring_ascii


class Outbox:
    """Whoever gets the lock sends everybody's frames as one message, and looks again: no writer thread, and no wake-up that can be lost."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._queue: Deque[str] = deque()
        self._lock = threading.Lock()
        self.closed = False

    def send(self, *frames: str) -> None:
        self._queue.extend(frames)
        self.flush()

    def put(self, frame: str) -> None:
        """Sent when somebody flushes next."""
        self._queue.append(frame)

    def flush_full(self, now: bool) -> None:
        """:param now: Whether little is sent, too."""
        if now or len(self._queue) >= _ENOUGH:
            self.flush()

    def flush(self) -> None:
        while self._queue and not self.closed:
            if not self._lock.acquire(False):
                # Who holds it looks again after letting go.
                return
            try:
                self._send_all()
            finally:
                self._lock.release()

    def _send_all(self) -> None:
        queue = self._queue
        parts: List[str] = []
        length = 0
        while queue and length < _MESSAGE:
            text = queue.popleft()
            parts.append(text)
            length += len(text)
        if not parts:
            return
        body = ("[" + ",".join(parts) + "]").encode("ascii")
        data = memoryview(len(body).to_bytes(4, "big") + body)
        while data:
            try:
                written = self._wire.send(data)
            except OSError as error:
                if error.errno in _TAKEN_AWAY:
                    os._exit(WIRE_TAKEN_AWAY)
                # The server has gone; the reader ends the process.
                self.closed = True
                return
            data = data[written:]

    def after_fork(self) -> None:
        """In a child: it has no wire."""
        self.closed = True
        self._lock = threading.Lock()
        self._queue.clear()


def messages(wire: socket.socket, tend: Callable[[], bool]) -> Iterator[List[Any]]:
    """What the server says, as often as there is something, until it closes the socket. As long as `tend` says so it is called again after a millisecond."""
    held = bytearray()
    # Python asks the system for each object of this size, and gives it back.
    room = memoryview(bytearray(_READ))
    poll = select.poll()
    poll.register(wire, select.POLLIN)
    while True:
        at = 0
        frames: List[Any] = []
        while len(held) - at >= 4:
            end = at + 4 + int.from_bytes(held[at : at + 4], "big")
            if len(held) < end:
                break
            frames += _read_json(held[at + 4 : end].decode("utf-8"), 0)[0]
            at = end
        if frames:
            del held[:at]
            yield frames
        try:
            while tend() and not poll.poll(_TEND_MS):
                pass
            length = wire.recv_into(room)
        except OSError as error:
            if error.errno in _TAKEN_AWAY:
                os._exit(WIRE_TAKEN_AWAY)
            return
        if length == 0:
            return
        held += room[:length]
