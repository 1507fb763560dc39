"""Whether a function can take what it will be given: its key and its inputs."""

import inspect
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ._definitions import Definition, definition_of

#: message, hint, and location where it is another than the definition's.
Complaint = Dict[str, Any]


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
    optional = next((one.name for one in parameters if one.name in names and one.default is not kinds.empty), None)
    if optional is not None:
        message = f'its input "{optional}" has a default, and every request has to send it.'
        hint = f'Leave the default out; or send null for what is not known, and write: if {optional} is None.'
        complaints.append({"message": message, "hint": hint})
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
