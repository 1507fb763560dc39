"""What coroutines say in one turn of their loop."""

import time
from typing import Any, Tuple

from ._wire import Outbox

#: After so long without a frame somebody's step holds up the loop.
_STUCK_S = 0.001


class Turns:
    """
    Lets frames of one turn of the loop go out together: a message costs either end more than a short step does. A turn begins when the reader hands
    something to the loop, and ends behind the steps that this makes ready. A step that holds the loop up for longer is noticed by whoever calls
    `tend`; then what was said goes out without it.
    """

    __slots__ = ("_gathers", "_looked_at", "_outbox", "_said", "_seen", "_turn", "_waits")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._turn = 0
        self._said = 0
        self._gathers = False
        self._waits = False
        self._seen: Tuple[int, int] = (0, 0)
        self._looked_at = 0.0

    def begin(self) -> int:
        """By the reader. @returns what `end_of` is to be given."""
        self._turn += 1
        self._gathers = True
        return self._turn

    def end_of(self, turn: int, loop: Any) -> None:
        """On the loop, when everything is handed over: the turn ends behind what is ready now."""
        loop.call_soon(self._end, turn)

    def send(self, frame: str) -> None:
        """On the loop."""
        if not self._gathers:
            self._outbox.send(frame)
            return
        self._said += 1
        self._outbox.put(frame)
        self._outbox.flush_full(False)

    def tend(self) -> bool:
        """By the reader. @returns whether to call this again in a moment."""
        if not self._gathers:
            return False
        now = time.perf_counter()
        said = (self._turn, self._said)
        if said != self._seen:
            self._seen = said
            self._looked_at = now
            return True
        if now - self._looked_at < _STUCK_S:
            return True
        self._gathers = False
        self._outbox.flush()
        return False

    def _end(self, turn: int) -> None:
        # Where another turn is at the door, what was said waits for that one, and no longer.
        if turn == self._turn:
            self._gathers = False
        elif self._gathers and not self._waits:
            self._waits = True
            return
        self._waits = False
        self._outbox.flush()
