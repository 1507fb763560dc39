"""
The project's own files run as they stand on disk. Python takes compiled code for current when its source has the same size and the same second
of change: an edit that follows the last one at once would go on running the old code under a new fingerprint.
"""

from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any, Callable, Optional


def read_from_source(is_project_file: Callable[[str], bool]) -> None:
    """Of packages the compiled code is taken as always: they do not change while they are used, and are large."""
    compiled = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> Optional[CodeType]:
        path = self.get_filename(fullname)
        if not is_project_file(path):
            return compiled(self, fullname)
        code: Any = self.source_to_code(self.get_data(path), path)
        return code if isinstance(code, CodeType) else None

    setattr(SourceFileLoader, "get_code", get_code)
