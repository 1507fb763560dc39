"""The one exception of this package."""

from typing import Optional


class FabraError(Exception):
    """What went wrong (`message`), of what kind (`code`), and what to do about it (`hint`)."""

    def __init__(self, code: str, message: str, hint: Optional[str] = None, shown: bool = False) -> None:
        super().__init__(message if hint is None else f"{message}{'' if message[-1:] in '.!?:' else '.'} {hint}")
        self.code = code
        self.message = message
        self.hint = hint
        #: Written by us, so it may be shown to clients.
        self.shown = shown
