"""Which files are the project's own: not the interpreter's, not those of installed packages."""

import os
import sys
from typing import Dict, List

from ._boot import _STANDARD
from ._definitions import _PACKAGE


class ProjectFiles:
    def __init__(self, roots: List[str]) -> None:
        here = os.getcwd() if os.path.isdir(".") else os.sep
        # People start the server in the project's folder and import from there.
        if os.path.dirname(here) != here and here not in roots:
            roots = [*roots, here]
            if here not in sys.path:
                sys.path.append(here)
        self.roots = roots
        #: Files of the project that could not be imported, also those that are not there.
        self.failed: Dict[str, None] = {}
        self._known: Dict[str, bool] = {}

    def has(self, file: str) -> bool:
        if file.startswith("<"):
            return False  # No file, as of `<frozen importlib._bootstrap>` or of what exec() runs.
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = self._look(os.path.abspath(file))
        return known

    def _look(self, path: str) -> bool:
        if path.startswith((_PACKAGE, _STANDARD + os.sep)):
            return False
        for root in self.roots:
            inside = path[len(root.rstrip(os.sep)) + 1 :] if path.startswith(root.rstrip(os.sep) + os.sep) else None
            if inside is None:
                continue
            parts = inside.split(os.sep)
            if "site-packages" in parts or "dist-packages" in parts:
                return False
            return True
        return False

    def wants(self, module: str) -> None:
        """It is imported and not there: who watches the files should see it come."""
        parts = module.split(".")
        for root in self.roots:
            for count in range(1, len(parts) + 1):
                path = os.path.join(root, *parts[:count])
                for wanted in (path, path + ".py", os.path.join(path, "__init__.py")):
                    self.failed[wanted] = None

    def files(self) -> List[str]:
        found = list(self.failed)
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.endswith(".py") and self.has(file):
                found.append(os.path.abspath(file))
        return found
