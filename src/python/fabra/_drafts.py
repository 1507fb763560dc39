"""Definitions as plain data, for the server to check and to build the registry of."""

import datetime
import decimal
import inspect
import math
import os
import sys
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ._definitions import Column, Definition, Feature, definition_of, definitions
from ._times import time_text
from ._tree import ProjectTree, TypeSpec

Json = Any
#: message, hint, and location where it is another than the definition's.
Complaint = Dict[str, Any]
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


def read_drafts(tree: ProjectTree, is_project_file: Callable[[str], bool]) -> List[Dict[str, Json]]:
    """Of every definition that was made while the files were loaded."""
    counted = [one for one in definitions() if not (isinstance(one, Feature) and one._decorated > 0)]
    _name_all(counted, is_project_file)
    return [_draft(one, tree) for one in counted]


def _draft(one: Definition, tree: ProjectTree) -> Dict[str, Json]:
    options = {name: _option(name, value) for name, value in one._options.items()}
    complaints: List[Complaint] = []
    target = one._target
    function: Optional[Dict[str, Json]] = None
    doc: Optional[str] = None
    args = [raw(value) for value in one._args]
    if one._kind == "entity" and target is not None:
        doc = _paragraph(target.__dict__.get("__doc__"))
        args = [target.__name__, *args]
        if "key" not in options:
            read = tree.class_tree(target)
            options["key"] = {name: _key_type(target, name, spec) for name, spec in read.columns}
            complaints.extend(_without_null(read.problems))
    elif one._kind == "feature" and target is not None:
        doc = _paragraph(getattr(target, "__doc__", None))
        function = _function(one, tree, options, complaints)
    elif one._name is not None:
        doc = tree.docs(one._place.file).get(_variable_of(one))
    if one._kind == "feature" and one._name is None and one._options.get("name") is None:
        complaints.append(
            {
                "message": "no variable of its file holds it, so it has no name.",
                "hint": 'Assign it to a variable of the module, or give it a name: name="my_feature".',
            }
        )
    return {
        "id": one._id,
        "kind": one._kind,
        "name": one._name,
        "file": one._place.file,
        "location": {"file": one._place.file, "line": one._place.line, "column": 1},
        "doc": doc,
        "args": args,
        "options": options,
        "function": function,
        "complaints": complaints,
    }


def _without_null(problems: List[Dict[str, Any]]) -> List[Complaint]:
    return [{name: value for name, value in problem.items() if value is not None} for problem in problems]


def _key_type(cls: type, name: str, spec: TypeSpec) -> str:
    """Where the tree says text, the class may say UUID, which keys alone know."""
    if spec.type == "string":
        try:
            given = cls.__annotations__.get(name)
        except Exception:
            given = None
        if given is uuid.UUID or (isinstance(given, str) and given.strip("\"'") in ("UUID", "uuid.UUID")):
            return "uuid"
    return spec.type


def _function(one: Definition, tree: ProjectTree, options: Dict[str, Json], complaints: List[Complaint]) -> Dict[str, Json]:
    found = tree.function(one._target)
    complaints.extend(_without_null(found.problems))
    if found.returns is not None and "type" not in options and "columns" not in options:
        if options.get("batch"):
            _type_of_batch(found.returns, options, complaints)
        else:
            options["type"] = found.returns.type
            if found.returns.element is not None:
                options["element"] = found.returns.element
    complaints.extend(parameter_complaints(one))
    return {
        "code": found.code,
        "isAsync": is_async(one._target),
        "parameters": [{"name": name, "type": spec.type if spec is not None else None} for name, spec in found.parameters],
        "clock": list(found.clock),
    }


def _type_of_batch(returns: TypeSpec, options: Dict[str, Json], complaints: List[Complaint]) -> None:
    """One value a key: the annotation says the list of them."""
    if returns.type not in ("list", "json"):
        shown_type = "str" if returns.type == "string" else "datetime" if returns.type == "timestamp" else returns.type
        message = f"with batch it returns a list with one value per key, but its annotation says {shown_type}."
        complaints.append({"message": message, "hint": f"Write -> list[{shown_type}]."})
        return
    inner = returns.element[returns.element.index("[") + 1 : -1] if returns.element and returns.type == "list" else "Any"
    if inner.startswith("Optional["):
        inner = inner[len("Optional[") : -1]
    options["type"] = {"str": "string", "datetime": "timestamp", "Any": "json"}.get(inner, inner.split("[")[0])
    if options["type"] not in _TYPES.values():
        options["type"] = "json"
    elif "[" in inner:
        options["element"] = inner


def parameter_complaints(one: Definition) -> List[Complaint]:
    """A function that cannot take what it will be given fails now, not in a request."""
    parameters = list(parameters_of(one._target).values())
    key = _key_names(one._options.get("entity"))
    inputs = one._options.get("inputs")
    names = [name for name in inputs if isinstance(name, str)] if isinstance(inputs, Mapping) else []
    kinds = inspect.Parameter
    if not _has_signature(one._target) or any(parameter.kind is kinds.VAR_POSITIONAL for parameter in parameters) or key is None:
        return []
    complaints: List[Complaint] = []
    takes_any = any(parameter.kind is kinds.VAR_KEYWORD for parameter in parameters)
    by_name = {parameter.name for parameter in parameters if parameter.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)}
    missing = [name for name in names if name not in by_name]
    if missing and not takes_any:
        shown_name = missing[0]
        message = f'it has the input "{shown_name}", and the function has no parameter of that name.'
        complaints.append({"message": message, "hint": f"Add it: def {_name_of_target(one)}(…, {shown_name})."})
    wanted = len(key)
    rest = [p for p in parameters if p.kind not in (kinds.VAR_KEYWORD, kinds.VAR_POSITIONAL) and p.name not in names]
    named = len(key) > 1 and (takes_any or all(name in by_name for name in key))
    if named:
        needed = [p for p in rest if p.default is kinds.empty and p.name not in key]
        if needed:
            complaints.append(_unexpected(needed[0].name, key))
        return complaints
    positional = [p for p in rest if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    only_by_name = [p for p in rest if p.kind is kinds.KEYWORD_ONLY and p.default is kinds.empty and not (wanted == 1 and p.name == key[0])]
    required = [p for p in positional if p.default is kinds.empty]
    whole = 1 if one._options.get("batch") and wanted > 1 and len(required) == 1 else wanted
    takes_key = len(positional) >= whole or (wanted == 1 and key[0] in by_name)
    if not takes_key and not takes_any:
        message = f"the function does not take the key ({', '.join(key)})."
        complaints.append({"message": message, "hint": f"Write def {_name_of_target(one)}({', '.join([*key, *names])})."})
    elif len(required) > whole:
        complaints.append(_unexpected(required[whole].name, key))
    elif only_by_name:
        complaints.append(_unexpected(only_by_name[0].name, key))
    return complaints


def parameters_of(fn: Any) -> Mapping[str, inspect.Parameter]:
    """Empty where nobody knows: some functions of C have none to tell."""
    try:
        if sys.version_info >= (3, 14):
            from annotationlib import Format

            # What annotations name need not exist.
            return inspect.signature(fn, annotation_format=Format.STRING).parameters
        return inspect.signature(fn).parameters
    except Exception:
        return {}


def _has_signature(fn: Any) -> bool:
    return bool(parameters_of(fn)) or isinstance(fn, type(_has_signature))


def _unexpected(name: str, key: Sequence[str]) -> Complaint:
    message = f'its parameter "{name}" is neither of the key ({", ".join(key)}) nor an input.'
    return {"message": message, "hint": f'Declare it: inputs={{"{name}": float}}, or give it a default.'}


def _name_of_target(one: Definition) -> str:
    return str(getattr(one._target, "__name__", one._name or "feature"))


def _key_names(entity: Any) -> Optional[List[str]]:
    definition = definition_of(entity)
    if definition is None or definition._kind != "entity":
        return None
    key = definition._options.get("key")
    if isinstance(key, str):
        return [key]
    if isinstance(key, (list, tuple, dict)) and key and all(isinstance(name, str) for name in key):
        return list(key)
    if key is None and definition._target is not None:
        names: Dict[str, None] = {}
        for cls in reversed(definition._target.__mro__):
            try:
                annotations = cls.__dict__.get("__annotations__") or (getattr(cls, "__annotations__", {}) if cls is definition._target else {})
            except Exception:
                return None
            names.update(dict.fromkeys(name for name, kind in annotations.items() if "ClassVar" not in str(kind)))
        return list(names) or None
    return None


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


def _variable_of(one: Definition) -> str:
    return _variables.get(one._id, "")


#: The variable that holds a definition, by its id.
_variables: Dict[int, str] = {}


def _name_all(counted: List[Definition], is_project_file: Callable[[str], bool]) -> None:
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
            if definition is None or name.startswith("__"):
                continue
            if file == definition._place.file:
                _variables.setdefault(definition._id, name)
            if definition._kind != "feature":
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


def _paragraph(doc: Any) -> Optional[str]:
    if not isinstance(doc, str):
        return None
    first = inspect.cleandoc(doc).split("\n\n")[0]
    text = " ".join(first.split())
    return text or None
