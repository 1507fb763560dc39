"""Which names code binds, and to what: statements alone, without where imports lead."""
from __future__ import annotations

import ast
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Union

_COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Import(NamedTuple):
    """`from module import name` (name None: the module itself; "*": all of it). level: the dots."""

    module: str
    name: Optional[str]
    level: int


def imports_of(statement: Union[ast.Import, ast.ImportFrom]) -> Iterator["tuple[str, Import]"]:
    """The names that it binds, with what they stand for."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if alias.asname:
                yield alias.asname, Import(alias.name, None, 0)
            else:
                # `import a.b` binds a.
                yield alias.name.split(".")[0], Import(alias.name.split(".")[0], None, 0)
    else:
        for alias in statement.names:
            yield alias.asname or alias.name, Import(statement.module or "", alias.name, statement.level)


class Bound(NamedTuple):
    """What a statement or a body does to the names of its own scope."""

    # In order, imports included.
    names: Dict[str, None]
    imports: Dict[str, Import]
    # Said to be of a scope around.
    outer: Set[str]


def bound_in(*nodes: ast.AST) -> Bound:
    bound = Bound({}, {}, set())
    for node in nodes:
        _collect(node, bound)
    return bound


def _collect(node: ast.AST, bound: Bound) -> None:
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            bound.names[node.id] = None
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        bound.names[node.name] = None
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for name, origin in imports_of(node):
            bound.names[name] = None
            bound.imports.setdefault(name, origin)
        return
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        bound.outer.update(node.names)
    elif isinstance(node, (ast.Constant, ast.Lambda)):
        return
    elif isinstance(node, _COMPREHENSION):
        # A walrus in a comprehension binds outside of it.
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                bound.names[inner.target.id] = None
        return
    elif isinstance(node, ast.ExceptHandler) or type(node).__name__ in ("MatchAs", "MatchStar", "MatchMapping"):
        caught = getattr(node, "name", None) or getattr(node, "rest", None)
        if caught:
            bound.names[caught] = None
    for field in node._fields:
        part = getattr(node, field, None)
        for child in part if isinstance(part, list) else (part,):
            if isinstance(child, ast.AST):
                _collect(child, bound)


def alias_of(statement: ast.AST, name: str) -> Optional[ast.expr]:
    """`name = value`: the value."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
        value: Optional[ast.expr] = statement.value
    elif isinstance(statement, ast.AnnAssign):
        target, value = statement.target, statement.value
    else:
        return None
    return value if isinstance(target, ast.Name) and target.id == name else None


def chain_of(node: ast.AST) -> Optional[List[str]]:
    """a.b.c as its names."""
    names: List[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return [node.id, *reversed(names)]
