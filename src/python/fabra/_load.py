"""Imports the user's files by their real names, and tells what went wrong with file, line and what to do."""

import difflib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from types import ModuleType
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from ._boot import _STANDARD
from ._definitions import _PACKAGE, stores
from ._drafts import read_drafts
from ._errors import FabraError
from ._tree import ProjectTree

Problem = Dict[str, Any]


class Loaded(NamedTuple):
    drafts: List[Dict[str, Any]]
    problems: List[Problem]
    warnings: List[Problem]
    files: List[str]


def load(paths: Iterable[str], version: Optional[str] = None) -> Loaded:
    """
    Never raises: what goes wrong is a problem.

    :param version: Of the server, whose copy of this package it is.
    """
    files = [os.path.abspath(path) for path in dict.fromkeys(paths)]
    problems: List[Problem] = []
    warnings: List[Problem] = []
    usable: List[Tuple[str, str, str]] = []
    for file in files:
        unusable = _check_file(file)
        if unusable is None:
            root, name = _root_and_name(file)
            usable.append((file, root, name))
        else:
            problems.append(unusable)
    roots = list(dict.fromkeys(root for _, root, _ in usable))
    for root in roots:
        problems.extend(_hides_this_package(root))
        warnings.extend(_hides_standard_library(root))
    if any(problem["subject"] == "file \"fabra.py\"" for problem in problems):
        return Loaded([], problems, warnings, files)
    project = _Project(roots)
    for root in reversed(roots):
        if root not in sys.path:
            sys.path.insert(0, root)
    for file, _, name in usable:
        try:
            _import(file, name)
        except BaseException as error:  # also sys.exit() at the top level
            problems.extend(import_problems(error, file, project))
    seen = list(dict.fromkeys([*files, *project.files()]))
    if problems:
        return Loaded([], problems, warnings, seen)
    try:
        tree = ProjectTree(project.roots)
        made = read_drafts(tree, project.has)
        seen = list(dict.fromkeys([*seen, *tree.files()]))
    except BaseException as error:
        first = files[0] if files else ""
        return Loaded([], import_problems(error, first, project), warnings, seen)
    return Loaded(made, [], warnings + _stores_without_effect() + _other_version(version), seen)


class _Project:
    """Which files are the project's own: not the interpreter's, not those of installed packages."""

    def __init__(self, roots: List[str]) -> None:
        here = os.getcwd() if os.path.isdir(".") else os.sep
        # People start the server in the project's folder and import from there.
        if os.path.dirname(here) != here and here not in roots:
            roots = [*roots, here]
            if here not in sys.path:
                sys.path.append(here)
        self.roots = roots
        #: Files of the project that could not be imported.
        self.failed: Dict[str, None] = {}
        self._known: Dict[str, bool] = {}

    def has(self, file: str) -> bool:
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

    def files(self) -> List[str]:
        found = list(self.failed)
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.endswith(".py") and self.has(file):
                found.append(os.path.abspath(file))
        return found


def _check_file(file: str) -> Optional[Problem]:
    name = os.path.basename(file)
    subject = f'file "{name}"'
    if not os.path.exists(file):
        folder = os.path.dirname(file)
        if not os.path.isdir(folder):
            return _problem(None, subject, f"the folder {folder} does not exist.", "Correct the path.")
        others = sorted(one for one in os.listdir(folder) if one.endswith((".py", ".ts")))
        close = difflib.get_close_matches(name, others, 1)
        hint = f'Did you mean "{close[0]}"?' if close else 'Name the file that defines your features, or run "fabra init --python".'
        return _problem(None, subject, f"it does not exist in {folder}.", hint)
    if os.path.isdir(file):
        return _problem(None, subject, "it is a folder.", "Name the file in it that defines your features.")
    if name.endswith(".ipynb"):
        return _problem(
            _at(file), subject, "it is a notebook.", f'Write its definitions to a module first: "jupyter nbconvert --to script {name}".'
        )
    if not name.endswith(".py"):
        return _problem(_at(file), subject, "it is not a Python file.", "Definitions in Python are written in a .py file.")
    return None


def _root_and_name(file: str) -> Tuple[str, str]:
    """The folder to import from, and the dotted name: `__init__.py` makes a folder a part of the name."""
    folder, base = os.path.split(file)
    parts = [] if base == "__init__.py" else [base[: -len(".py")]]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        parent, own = os.path.split(folder)
        if parent == folder:
            break
        parts.insert(0, own)
        folder = parent
    return folder, ".".join(parts) or base[: -len(".py")]


def _hides_this_package(root: str) -> List[Problem]:
    for path in (os.path.join(root, "fabra.py"), os.path.join(root, "fabra", "__init__.py")):
        if os.path.isfile(path) and os.path.realpath(path) != os.path.realpath(_PACKAGE + "__init__.py"):
            what = "file" if path.endswith("fabra.py") else "folder"
            message = f'a {what} of this name stands where "from fabra import …" looks first.'
            return [_problem(_at(path), 'file "fabra.py"', message, f'Rename it, for example to "features{".py" if what == "file" else ""}".')]
    return []


def _hides_standard_library(root: str) -> List[Problem]:
    warnings: List[Problem] = []
    standard = _standard_names()
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return warnings
    for name in names:
        path = os.path.join(root, name)
        module = name[:-3] if name.endswith(".py") else name
        if module not in standard or not (name.endswith(".py") or os.path.isfile(os.path.join(path, "__init__.py"))):
            continue
        file = path if name.endswith(".py") else os.path.join(path, "__init__.py")
        message = f'it is named like the module "{module}" of the standard library; which of the two is imported depends on who comes first.'
        warnings.append(_problem(_at(file), f'file "{name}"', message, "Rename it."))
    return warnings


def _standard_names() -> Set[str]:
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return set(names)
    found = {name[:-3] if name.endswith(".py") else name for name in os.listdir(_STANDARD) if name[0] not in "_." and "-" not in name}
    return found | set(sys.builtin_module_names)


def _import(file: str, name: str) -> ModuleType:
    loaded = next((one for one in list(sys.modules.values()) if _is_file_of(one, file)), None)
    if loaded is not None:
        return loaded
    if all(part.isidentifier() for part in name.split(".")):
        known = sys.modules.get(name)
        if known is None:
            found = importlib.util.find_spec(name)
            if found is not None and found.origin is not None and os.path.realpath(found.origin) == os.path.realpath(file):
                return importlib.import_module(name)
    # The name is another module's, or none that can be imported: one is made up.
    base = "".join(letter if letter.isalnum() else "_" for letter in name)
    count = 2
    while f"{base}_{count}" in sys.modules:
        count += 1
    spec = importlib.util.spec_from_file_location(f"{base}_{count}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _is_file_of(module: Any, file: str) -> bool:
    own = getattr(module, "__file__", None)
    return isinstance(own, str) and (own == file or (os.path.basename(own) == os.path.basename(file) and os.path.realpath(own) == os.path.realpath(file)))


def import_problems(error: BaseException, file: str, project: "_Project") -> List[Problem]:
    """What an exception at the top level of a file means to its author."""
    where = _place_of(error, project) or (file, 1)
    location = _at(*where)
    subject = f'file "{os.path.basename(where[0])}"'
    if isinstance(error, SyntaxError):
        if error.filename and project.has(error.filename):
            project.failed[os.path.abspath(error.filename)] = None
        return [_syntax(error, location, subject)]
    if isinstance(error, FabraError):
        return [_problem(location, subject, error.message, error.hint or "Correct it there.")]
    if isinstance(error, ModuleNotFoundError) and error.name:
        return [_missing_module(error.name, location, subject, project)]
    if isinstance(error, ImportError) and error.name == "fabra":
        return [_missing_name(error, location, subject)]
    if isinstance(error, SystemExit):
        message = f"its top-level code called sys.exit({'' if error.code is None else repr(error.code)})."
        return [_problem(location, subject, message, 'Put what is for the command line under if __name__ == "__main__".')]
    if isinstance(error, TypeError) and sys.version_info < (3, 10) and "for |" in str(error):
        hint = "Write Optional[…], or begin the file with: from __future__ import annotations."
        return [_problem(location, subject, f"types joined by | need Python 3.10; this is {_version()}.", hint)]
    message = f"its top-level code threw {one_line(error)}"
    return [_problem(location, subject, message, "Code outside functions runs once when the file is loaded; it must not fail.")]


def one_line(error: BaseException) -> str:
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    return text if len(text) <= 2000 else text[:2000] + "…"


def _syntax(error: SyntaxError, location: Dict[str, Any], subject: str) -> Problem:
    if error.filename and os.path.isabs(error.filename):
        location = {"file": error.filename, "line": error.lineno or 1, "column": max(1, error.offset or 1)}
        subject = f'file "{os.path.basename(error.filename)}"'
    line = f" The line is: {error.text.strip()[:120]}" if error.text and error.text.strip() else ""
    hint = f"Correct it there; this is Python {_version()}.{line}"
    return _problem(location, subject, f"the file cannot be read as code: {error.msg}.", hint)


def _missing_module(name: str, location: Dict[str, Any], subject: str, project: "_Project") -> Problem:
    top = name.split(".")[0]
    if name == "fabra" or name.startswith("fabra."):
        return _problem(location, subject, f'it imports "{name}", which Fabra does not have.', 'Import everything from "fabra".')
    owner = sys.modules.get(top)
    inside = getattr(owner, "__file__", None) or next(iter(getattr(owner, "__path__", [])), None)
    if top in _standard_names():
        hint = f"This is Python {_version()} at {sys.executable}; the module may be of another version."
        return _problem(location, subject, f'it imports "{name}", which this standard library does not have.', hint)
    if owner is not None and isinstance(inside, str) and project.has(inside):
        return _problem(location, subject, f'it imports "{name}", and there is no such file.', f"Look into {os.path.dirname(inside)}.")
    near = [
        one[:-3] if one.endswith(".py") else one
        for root in project.roots
        if os.path.isdir(root)
        for one in os.listdir(root)
        if one.endswith(".py")
    ]
    close = difflib.get_close_matches(top, near, 1, 0.8)
    hint = f'Did you mean "{close[0]}"? Or run' if close else "Run"
    hint = f'{hint} "{sys.executable} -m pip install {top}", or name another interpreter by FABRA_PYTHON.'
    return _problem(location, subject, f'it imports the package "{top}", which is not installed in {sys.executable}.', hint)


def _missing_name(error: ImportError, location: Dict[str, Any], subject: str) -> Problem:
    import fabra

    name = getattr(error, "name_from", None) or (str(error).split("'")[1] if "'" in str(error) else "")
    if name in ("client", "Client", "AsyncClient"):
        message = "it imports the client from \"fabra\", which is for programs that ask a server."
        return _problem(location, subject, message, "In a features file read by db and get.")
    close = difflib.get_close_matches(name, fabra.__all__, 1)
    hint = f'Did you mean "{close[0]}"?' if close else f"It has {', '.join(sorted(fabra.__all__))}."
    return _problem(location, subject, f'it imports "{name}" from "fabra", which has no such name.', hint)


def _place_of(error: BaseException, project: "_Project") -> Optional[Tuple[str, int]]:
    """The innermost line of the user's files."""
    found: Optional[Tuple[str, int]] = None
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if project.has(file):
            found = (os.path.abspath(file), step.tb_lineno)
            project.failed[found[0]] = None
        step = step.tb_next
    return found


def _stores_without_effect() -> List[Problem]:
    for store in stores():
        if store._given:
            message = "what is given to FeatureStore(…) has no effect."
            hint = "Stores are named by the environment of the server: FABRA_POSTGRES_URL and FABRA_REDIS_URL."
            return [_problem(_at(*store._place), "FeatureStore", message, hint)]
    return []


def _other_version(version: Optional[str]) -> List[Problem]:
    """The package that the environment has may be older or newer than the server; who reads its documentation should know."""
    for folder in sys.path if version is not None else []:
        if not os.path.isfile(os.path.join(folder, "fabra", "__init__.py")) or os.path.samefile(os.path.join(folder, "fabra"), _PACKAGE):
            continue
        found = re.match(r"fabra[\w.]*-([^-]+)\.dist-info$", next((name for name in os.listdir(folder) if name.startswith("fabra") and name.endswith(".dist-info")), ""))
        if found is not None and found.group(1) != version:
            message = f"{folder} has version {found.group(1)} of the package; features run with the server's own, {version}."
            return [_problem(None, "package fabra", message, f"Install version {version} of it, so that editors and type checkers see the same.")]
        break
    return []


def _version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def _at(file: str, line: int = 1) -> Dict[str, Any]:
    return {"file": file, "line": line, "column": 1}


def _problem(location: Optional[Dict[str, Any]], subject: str, message: str, hint: str) -> Problem:
    return {"location": location, "subject": subject, "message": message, "hint": hint}
