"""What can be wrong with files before and while they are imported, with file, line and what to do."""

import difflib
import os
import sys
import traceback
from typing import Any, Dict, List, Optional, Set, Tuple

from ._boot import _STANDARD
from ._definitions import _PACKAGE
from ._errors import FabraError
from ._project_files import ProjectFiles

Problem = Dict[str, Any]


def check_file(file: str) -> Optional[Problem]:
    name = os.path.basename(file)
    subject = f'file "{name}"'
    if not os.path.exists(file):
        folder = os.path.dirname(file)
        if not os.path.isdir(folder):
            return problem(None, subject, f"the folder {folder} does not exist.", "Correct the path.")
        others = sorted(one for one in os.listdir(folder) if one.endswith((".py", ".ts")))
        close = difflib.get_close_matches(name, others, 1)
        hint = f'Did you mean "{close[0]}"?' if close else 'Name the file that defines your features, or run "fabra init --python".'
        return problem(None, subject, f"it does not exist in {folder}.", hint)
    if os.path.isdir(file):
        return problem(None, subject, "it is a folder.", "Name the file in it that defines your features.")
    if name.endswith(".ipynb"):
        return problem(
            at(file), subject, "it is a notebook.", f'Write its definitions to a module first: "jupyter nbconvert --to script {name}".'
        )
    if not name.endswith(".py"):
        return problem(at(file), subject, "it is not a Python file.", "Definitions in Python are written in a .py file.")
    return None


def hides_this_package(root: str) -> List[Problem]:
    for path in (os.path.join(root, "fabra.py"), os.path.join(root, "fabra", "__init__.py")):
        if os.path.isfile(path) and os.path.realpath(path) != os.path.realpath(_PACKAGE + "__init__.py"):
            what = "file" if path.endswith("fabra.py") else "folder"
            message = f'a {what} of this name stands where "from fabra import …" looks first.'
            return [problem(at(path), 'file "fabra.py"', message, f'Rename it, for example to "features{".py" if what == "file" else ""}".')]
    return []


def hides_standard_library(root: str) -> List[Problem]:
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
        warnings.append(problem(at(file), f'file "{name}"', message, "Rename it."))
    return warnings


def _standard_names() -> Set[str]:
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return set(names)
    found = {name[:-3] if name.endswith(".py") else name for name in os.listdir(_STANDARD) if name[0] not in "_." and "-" not in name}
    return found | set(sys.builtin_module_names)


def import_problems(error: BaseException, file: str, project: ProjectFiles) -> List[Problem]:
    """What an exception at the top level of a file means to its author."""
    where = _place_of(error, project) or (file, 1)
    location = at(*where)
    subject = f'file "{os.path.basename(where[0])}"'
    if isinstance(error, SyntaxError):
        if error.filename and project.has(error.filename):
            project.failed[os.path.abspath(error.filename)] = None
        return [_syntax(error, location, subject)]
    if isinstance(error, FabraError):
        return [problem(location, subject, error.message, error.hint or "Correct it there.")]
    if isinstance(error, ImportError) and error.name:
        project.wants(error.name if isinstance(error, ModuleNotFoundError) else f"{error.name}.{_wanted_name(error)}")
    if isinstance(error, ModuleNotFoundError) and error.name:
        return [_missing_module(error.name, location, subject, project)]
    if isinstance(error, ImportError) and error.name == "fabra":
        return [_missing_name(error, location, subject)]
    if isinstance(error, SystemExit):
        message = f"its top-level code called sys.exit({'' if error.code is None else repr(error.code)})."
        return [problem(location, subject, message, 'Put what is for the command line under if __name__ == "__main__".')]
    if isinstance(error, TypeError) and sys.version_info < (3, 10) and "for |" in str(error):
        hint = "Write Optional[…], or begin the file with: from __future__ import annotations."
        return [problem(location, subject, f"types joined by | need Python 3.10; this is {_version()}.", hint)]
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        message = "it imports relative to its package, and its folder is none."
        return [problem(location, subject, message, "Write the import without the dot, or put an __init__.py beside the file.")]
    message = f"its top-level code threw {one_line(error)}"
    return [problem(location, subject, message, "Code outside functions runs once when the file is loaded; it must not fail.")]


def one_line(error: BaseException) -> str:
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    return text if len(text) <= 2000 else text[:2000] + "…"


def _syntax(error: SyntaxError, location: Dict[str, Any], subject: str) -> Problem:
    if error.filename and os.path.isabs(error.filename):
        location = {"file": error.filename, "line": error.lineno or 1, "column": max(1, error.offset or 1)}
        subject = f'file "{os.path.basename(error.filename)}"'
    line = f" The line is: {error.text.strip()[:120]}" if error.text and error.text.strip() else ""
    hint = f"Correct it there; this is Python {_version()}.{line}"
    return problem(location, subject, f"the file cannot be read as code: {error.msg}.", hint)


def _missing_module(name: str, location: Dict[str, Any], subject: str, project: ProjectFiles) -> Problem:
    top = name.split(".")[0]
    if name == "fabra" or name.startswith("fabra."):
        return problem(location, subject, f'it imports "{name}", which Fabra does not have.', 'Import everything from "fabra".')
    owner = sys.modules.get(top)
    inside = getattr(owner, "__file__", None) or next(iter(getattr(owner, "__path__", [])), None)
    if top in _standard_names():
        hint = f"This is Python {_version()} at {sys.executable}; the module may be of another version."
        return problem(location, subject, f'it imports "{name}", which this standard library does not have.', hint)
    if owner is not None and isinstance(inside, str) and project.has(inside):
        return problem(location, subject, f'it imports "{name}", and there is no such file.', f"Look into {os.path.dirname(inside)}.")
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
    return problem(location, subject, f'it imports the package "{top}", which is not installed in {sys.executable}.', hint)


def _missing_name(error: ImportError, location: Dict[str, Any], subject: str) -> Problem:
    import fabra

    name = _wanted_name(error)
    close = difflib.get_close_matches(name, fabra.__all__, 1)
    hint = f'Did you mean "{close[0]}"?' if close else f"It has {', '.join(sorted(fabra.__all__))}."
    return problem(location, subject, f'it imports "{name}" from "fabra", which has no such name.', hint)


def _wanted_name(error: ImportError) -> str:
    """What `from module import name` did not find."""
    return str(getattr(error, "name_from", None) or (str(error).split("'")[1] if "'" in str(error) else ""))


def _place_of(error: BaseException, project: ProjectFiles) -> Optional[Tuple[str, int]]:
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


def _version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def at(file: str, line: int = 1) -> Dict[str, Any]:
    return {"file": file, "line": line, "column": 1}


def problem(location: Optional[Dict[str, Any]], subject: str, message: str, hint: str) -> Problem:
    return {"location": location, "subject": subject, "message": message, "hint": hint}
