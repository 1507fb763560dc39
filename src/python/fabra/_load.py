"""Imports the user's files by their real names, and says what they define."""

import importlib
import importlib.util
import os
import re
import sys
from types import ModuleType
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ._definitions import _PACKAGE, stores
from ._drafts import read_drafts
from ._fresh import read_from_source
from ._load_problems import Problem, at, check_file, hides_standard_library, hides_this_package, import_problems, problem
from ._project_files import ProjectFiles
from ._tree import ProjectTree


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
        unusable = check_file(file)
        if unusable is None:
            root, name = _root_and_name(file)
            usable.append((file, root, name))
        else:
            problems.append(unusable)
    roots = list(dict.fromkeys(root for _, root, _ in usable))
    for root in roots:
        problems.extend(hides_this_package(root))
        warnings.extend(hides_standard_library(root))
    if any(problem["subject"] == "file \"fabra.py\"" for problem in problems):
        return Loaded([], problems, warnings, files)
    project = ProjectFiles(roots)
    read_from_source(project.has)
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


def _stores_without_effect() -> List[Problem]:
    for store in stores():
        if store._given:
            message = "what is given to FeatureStore(…) has no effect."
            hint = "Stores are named by the environment of the server: FABRA_POSTGRES_URL and FABRA_REDIS_URL."
            return [problem(at(*store._place), "FeatureStore", message, hint)]
    return []


def _other_version(version: Optional[str]) -> List[Problem]:
    """The package that the environment has may be older or newer than the server; who reads its documentation should know."""
    for folder in sys.path if version is not None else []:
        if not os.path.isfile(os.path.join(folder, "fabra", "__init__.py")) or os.path.samefile(os.path.join(folder, "fabra"), _PACKAGE):
            continue
        found = re.match(r"fabra[\w.]*-([^-]+)\.dist-info$", next((name for name in os.listdir(folder) if name.startswith("fabra") and name.endswith(".dist-info")), ""))
        if found is not None and found.group(1) != version:
            message = f"{folder} has version {found.group(1)} of the package; features run with the server's own, {version}."
            return [problem(None, "package fabra", message, f"Install version {version} of it, so that editors and type checkers see the same.")]
        break
    return []
