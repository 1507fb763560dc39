"""A text of a syntax tree that is the same on every version of Python, for fingerprints.

`ast.dump` is not stable across versions, tokens are not either. What cannot change what code does is left out: comments and layout (they are
not in the tree), docstrings, annotations. f-strings are parsed differently from version to version: neighbouring constants are joined.
"""
from __future__ import annotations

import ast
from typing import Any, Callable, List, Optional

# Of nodes of every type.
_LEFT_OUT = frozenset({"ctx", "kind", "type_comment", "type_ignores", "annotation", "returns", "type_params"})
_WITH_DOCSTRING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


def dump(node: ast.AST, leave_out: Callable[[ast.AST], bool] = lambda node: False) -> str:
    """`leave_out` names nodes that do not count: decorators that define a feature, say."""
    out: List[str] = []
    _write(node, out, leave_out)
    return "".join(out)


def _write(value: Any, out: List[str], leave_out: Callable[[ast.AST], bool]) -> None:
    if isinstance(value, ast.Constant):
        out.append("Constant(" + constant_text(value.value) + ")")
    elif isinstance(value, ast.AST):
        out.append(type(value).__name__)
        out.append("(")
        for field in sorted(value._fields):
            if field in _LEFT_OUT:
                continue
            part = _part(value, field)
            if isinstance(part, list):
                part = [item for item in part if not (isinstance(item, ast.AST) and leave_out(item))]
            if part is None or part == []:
                continue
            out.append(field)
            out.append("=")
            _write(part, out, leave_out)
            out.append(";")
        out.append(")")
    elif isinstance(value, list):
        out.append("[")
        for item in value:
            _write(item, out, leave_out)
            out.append(",")
        out.append("]")
    else:
        out.append(constant_text(value))


def _part(node: ast.AST, field: str) -> Any:
    part = getattr(node, field, None)
    if field == "body" and isinstance(node, _WITH_DOCSTRING):
        return body_without_docstring(node)
    if field == "values" and isinstance(node, ast.JoinedStr):
        return joined_parts(node.values)
    return part


def body_without_docstring(node: Any) -> List[ast.stmt]:
    body: List[ast.stmt] = node.body
    first = body[0] if body else None
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return body[1:] if is_docstring else body


def joined_parts(values: List[ast.expr]) -> List[ast.expr]:
    """Some versions split a constant, or put empty ones between."""
    joined: List[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            if value.value == "":
                continue
            last = joined[-1] if joined else None
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                joined[-1] = ast.Constant(last.value + value.value)
                continue
        joined.append(value)
    return joined


def constant_text(value: Any) -> str:
    # `str` of a long int is refused by newer versions.
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return ascii(value)


def value_text(value: object, depth: int) -> Optional[str]:
    """Of a value that a function holds; None: it is no plain one."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return constant_text(value) if type(value) in (type(None), bool, int, float, complex, str, bytes) else None
    if type(value) in (tuple, list) and depth < 5 and isinstance(value, (tuple, list)):
        parts = [value_text(item, depth + 1) for item in value]
        return None if any(part is None for part in parts) else "[" + ",".join(part or "" for part in parts) + "]"
    if type(value) is dict and depth < 5 and isinstance(value, dict):
        pairs = [(value_text(key, depth + 1), value_text(item, depth + 1)) for key, item in value.items()]
        return None if any(key is None or item is None for key, item in pairs) else "{" + ",".join(f"{key}:{item}" for key, item in pairs) + "}"
    return None
