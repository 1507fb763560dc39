"""Definitions as plain data, for the server to check and to build the registry of."""

import inspect
import os
import sys
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ._definitions import Definition, Feature, definition_of, definitions
from ._parameters import Complaint, is_async, parameter_complaints
from ._raw import TYPES, Json, option, raw
from ._tree import ProjectTree, TypeSpec


def read_drafts(tree: ProjectTree, is_project_file: Callable[[str], bool]) -> List[Dict[str, Json]]:
    """Of every definition that was made while the files were loaded."""
    counted = [one for one in definitions() if not (isinstance(one, Feature) and one._decorated > 0)]
    _name_all(counted, is_project_file)
    return [_draft(one, tree) for one in counted]


def _draft(one: Definition, tree: ProjectTree) -> Dict[str, Json]:
    options = {name: option(name, value) for name, value in one._options.items()}
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
            if read.problems and not read.columns:
                # What is wrong with its columns is said once.
                options["key"] = {"key": "string"}
            complaints.extend(_without_null(read.problems))
    elif one._kind == "feature" and target is not None:
        doc = _paragraph(getattr(target, "__doc__", None))
        function = _function(one, tree, options, complaints)
    elif one._name is not None:
        doc = tree.docs(one._place.file).get(_variable_of(one))
    if one._kind == "feature" and one._name is None and one._options.get("name") is None:
        method = _method(one)
        # What else is said of its parameters would be of self.
        complaints = [method] if method is not None else [*complaints, _hidden(one) or _NAMELESS]
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


_NAMELESS: Complaint = {
    "message": "no variable of its file holds it, so it has no name.",
    "hint": 'Assign it to a variable of the module, or give it a name: name="my_feature".',
}


def _method(one: Definition) -> Optional[Complaint]:
    parts = getattr(one._target, "__qualname__", "").split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        return None
    hint = f"Move it to the top level of the file. Of an object write {parts[-1]} = feature(…)(my_object.{parts[-1]})."
    return {"message": f'it stands in the class "{parts[-2]}", and no variable of the file holds it.', "hint": hint}


def _hidden(one: Definition) -> Optional[Complaint]:
    """Of a function whose name another one of the same file took later."""
    name = getattr(one._target, "__qualname__", "")
    module = sys.modules.get(getattr(one._target, "__module__", None) or "")
    if module is None or not name.isidentifier() or name not in vars(module):
        return None
    line = getattr(getattr(vars(module)[name], "__code__", None), "co_firstlineno", None)
    where = "" if line is None else f" in line {line}"
    hint = 'Give each a name of its own; in a loop, name=f"my_feature_{n}".'
    return {"message": f'"{name}" is defined again{where}, which hides this one.', "hint": hint}


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
    if options["type"] not in TYPES.values():
        options["type"] = "json"
    elif "[" in inner:
        options["element"] = inner


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


def _paragraph(doc: Any) -> Optional[str]:
    if not isinstance(doc, str):
        return None
    first = inspect.cleandoc(doc).split("\n\n")[0]
    text = " ".join(first.split())
    return text or None
