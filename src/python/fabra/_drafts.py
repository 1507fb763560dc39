"""Definitions as plain data, for the server to check and to build the registry of."""

import datetime
import decimal
import inspect
import math
import os
import sys
import uuid
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ._definitions import Column, Definition, Feature, definition_of, definitions
from ._times import time_text

Json = Any
#: Deeper options are nobody's intention, and may contain themselves.
_MAX_DEPTH = 20

_TYPES: Dict[Any, str] = {
    int: "int",
    float: "float",
    str: "string",
    bool: "bool",
    list: "list",
    dict: "dict",
    datetime.datetime: "timestamp",
    uuid.UUID: "uuid",
    Any: "json",
    object: "json",
}
_MICROSECOND = datetime.timedelta(microseconds=1)
_FOR_TYPES = ("type", "columns", "inputs", "key")


def drafts(tree: Any, is_project_file: Any) -> List[Dict[str, Json]]:
    """Of every definition that was made while the files were loaded."""
    counted = [one for one in definitions() if not (isinstance(one, Feature) and one._decorated > 0)]
    _name_all(counted, is_project_file)
    return [_draft(one, tree) for one in counted]


def _draft(one: Definition, tree: Any) -> Dict[str, Json]:
    options = {name: _option(name, value) for name, value in one._options.items()}
    complaints: List[Dict[str, str]] = []
    target = one._target
    function: Optional[Dict[str, Json]] = None
    doc: Optional[str] = None
    args = [raw(value) for value in one._args]
    if one._kind == "entity" and target is not None:
        doc = _doc_of_class(target)
        args = [target.__name__, *args]
        if "key" not in options:
            options["key"] = {name: spec.type for name, spec in tree.class_columns(target)}
    elif one._kind == "feature" and target is not None:
        doc = _paragraph(getattr(target, "__doc__", None))
        function = _function(one, tree, options, complaints)
    if one._kind == "feature" and one._name is None and "name" not in options:
        complaints.append(
            {
                "message": "no variable of its file holds it, so it has no name.",
                "hint": 'Assign it to a variable of the module, or give it a name: name="my_feature".',
            }
        )
    name = one._name
    return {
        "id": one._id,
        "kind": one._kind,
        "name": name,
        "file": one._place.file,
        "location": {"file": one._place.file, "line": one._place.line, "column": 1},
        "doc": doc,
        "args": args,
        "options": options,
        "function": function,
        "complaints": complaints,
    }


def _function(one: Definition, tree: Any, options: Dict[str, Json], complaints: List[Dict[str, str]]) -> Dict[str, Json]:
    target = one._target
    found = tree.function(target)
    for problem in found.problems:
        complaints.append({"message": str(problem["message"]), "hint": str(problem["hint"])})
    returns = found.returns
    if returns is not None and "type" not in options and "columns" not in options:
        if options.get("batch"):
            # A batch gives one value a key.
            element = returns.element if returns.type == "list" else None
            options["type"] = element.split("[")[0] if element else "json"
            if options["type"] == "str":
                options["type"] = "string"
        else:
            options["type"] = returns.type
            if returns.element is not None:
                options["element"] = returns.element
    return {
        "code": found.code,
        "isAsync": is_async(target),
        "parameters": [{"name": name, "type": spec.type if spec is not None else None} for name, spec in found.parameters],
        "clock": list(found.clock),
    }


def is_async(fn: Any) -> bool:
    """Also behind decorators that keep `__wrapped__`, partials and objects with an async `__call__`."""
    while hasattr(fn, "func") and hasattr(fn, "keywords"):
        fn = fn.func
    if inspect.iscoroutinefunction(fn):
        return True
    try:
        inner = inspect.unwrap(fn)
    except ValueError:
        return False
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))


def _name_all(counted: List[Definition], is_project_file: Any) -> None:
    """By the module's variable that holds it, in the module where it was made or else in any other of the project."""
    modules: Dict[str, Mapping[str, Any]] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and is_project_file(file):
            modules.setdefault(os.path.abspath(file), vars(module))
    at_home: Dict[Tuple[str, int], str] = {}
    anywhere: Dict[int, str] = {}
    for file, variables in modules.items():
        for name, value in list(variables.items()):
            definition = definition_of(value)
            if definition is None or definition._kind != "feature":
                continue
            if name.startswith("__"):
                continue
            at_home.setdefault((file, definition._id), name)
            anywhere.setdefault(definition._id, name)
    for one in counted:
        if one._kind == "feature":
            given = one._options.get("name")
            found = at_home.get((one._place.file, one._id)) or anywhere.get(one._id) or _own_name(one, modules)
            one._name = given if isinstance(given, str) else found
        elif one._kind == "entity" and one._target is not None:
            one._name = one._target.__name__
        elif one._args and isinstance(one._args[0], str):
            one._name = one._args[0]


def _own_name(one: Definition, modules: Mapping[str, Mapping[str, Any]]) -> Optional[str]:
    """Of a function that another decorator has wrapped, so that its variable holds something else."""
    name = getattr(one._target, "__qualname__", "")
    variables = modules.get(one._place.file, {})
    if not name.isidentifier() or name not in variables or definition_of(variables[name]) is not None:
        return None
    return str(name)


def raw(value: Any, depth: int = 0) -> Json:
    """An option as JSON; what JSON cannot say is sent as how it looks."""
    definition = definition_of(value)
    if definition is not None:
        return {"$ref": definition._id}
    if isinstance(value, Column):
        return {"$column": {"ref": value._feature._id, "column": raw(value._column)}}
    if value is None or isinstance(value, (bool, str)):
        return value if value is None or isinstance(value, bool) else _text(value)
    if isinstance(value, datetime.timedelta):
        return {"$micros": value // _MICROSECOND}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return float(value)
    if isinstance(value, datetime.datetime) and value.utcoffset() is not None:
        return time_text(value)
    if isinstance(value, (list, tuple)) and depth < _MAX_DEPTH:
        return [raw(one, depth + 1) for one in value]
    if isinstance(value, Mapping) and depth < _MAX_DEPTH and all(isinstance(key, str) for key in value):
        found = {_text(key): raw(one, depth + 1) for key, one in value.items()}
        return {"$obj": found} if next(iter(found), "").startswith("$") else found
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, type) and getattr(value, "ndim", None) == 0:
        return raw(item(), depth + 1)
    return {"$shown": shown(value), "$type": type(value).__name__}


def _option(name: str, value: Any) -> Json:
    if name not in _FOR_TYPES:
        return raw(value)
    if name == "type":
        return _type(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {_text(key): _type(one) for key, one in value.items()}
    return raw(value)


def _type(value: Any) -> Json:
    """`float`, `list[str]`, `"float"`."""
    try:
        name = _TYPES.get(value)
    except TypeError:
        name = None
    if name is not None:
        return name
    origin = getattr(value, "__origin__", None)
    if origin in (list, dict):
        return _TYPES[origin]
    return raw(value)


def shown(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value):
        return f"the function {getattr(value, '__name__', 'without a name')}"
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:60] + "…"


def _text(value: str) -> str:
    return str(value) if type(value) is str else str.__str__(value)


def _doc_of_class(cls: type) -> Optional[str]:
    return _paragraph(cls.__dict__.get("__doc__"))


def _paragraph(doc: Any) -> Optional[str]:
    if not isinstance(doc, str):
        return None
    first = inspect.cleandoc(doc).split("\n\n")[0]
    text = " ".join(first.split())
    return text or None
