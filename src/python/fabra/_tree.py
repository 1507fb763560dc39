"""What can be known of a project's functions and classes by reading their files: types, the text for the fingerprint, clocks.

Read from the syntax tree, never from the running code, so that every version of Python tells the same, with file and line.
"""
from __future__ import annotations

import ast
import functools
import sys
import types
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ._annotations import Annotations, NoType, TypeSpec
from ._fingerprint import value_text
from ._modules import Defined, Module, Modules
from ._reach import Pieces, Seen
from ._scopes import AnyFunction, parameters_of

__all__ = ["ClassTree", "FunctionTree", "ProjectTree", "TypeSpec", "hint_for_load_error"]

Problem = Dict[str, Any]
# By first line and name, with the functions that they stand in.
_Functions = Dict[Tuple[int, str], List[Tuple[AnyFunction, List[AnyFunction]]]]


class FunctionTree(NamedTuple):
    # None: nothing is said.
    returns: Optional[TypeSpec]
    # Without *args, **kwargs and the self of a bound method.
    parameters: List[Tuple[str, Optional[TypeSpec]]]
    is_async: bool
    # The same for the same code on every version of Python.
    code: str
    # Clocks and randomness that it names, itself or in what it reaches: {"file", "line", "what"}.
    clock: List[Dict[str, Any]]
    # {"message", "hint", "location": {"file", "line", "column"} or None}
    problems: List[Problem]


class ClassTree(NamedTuple):
    columns: List[Tuple[str, TypeSpec]]
    problems: List[Problem]


class ProjectTree:
    def __init__(self, roots: Sequence[str]) -> None:
        """@param roots The folders that are the project's."""
        self._modules = Modules(roots)
        self._annotations = Annotations(self._modules)
        self._readings: Dict[Tuple[str, int], Seen] = {}
        self._functions: Dict[str, _Functions] = {}

    def function(self, fn: object) -> FunctionTree:
        with _deep():
            try:
                return self._function(fn)
            except RecursionError:
                problem = {"message": "The code is nested too deeply to be read.", "hint": "Split it into functions.", "location": None}
                return FunctionTree(None, [], False, "", [], [problem])

    def class_columns(self, cls: type) -> List[Tuple[str, TypeSpec]]:
        return self.class_tree(cls).columns

    def class_tree(self, cls: type) -> ClassTree:
        """The annotated names of a class, in the order of its file, those of its bases before."""
        columns: Dict[str, TypeSpec] = {}
        problems: List[Problem] = []
        for base in reversed(cls.__mro__):
            module = self._modules.read(getattr(sys.modules.get(base.__module__), "__file__", None) or "")
            node = _class_node(module, base) if module is not None else None
            if module is None or node is None:
                continue
            for statement in node.body:
                if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                    continue
                if "ClassVar" in ast.dump(statement.annotation):
                    continue
                try:
                    columns[statement.target.id] = self._annotations.resolve(module, statement.annotation)
                except NoType as error:
                    problems.append(_problem(module, error, f"{base.__qualname__}.{statement.target.id}"))
        return ClassTree(list(columns.items()), problems)

    def docs(self, file: str) -> Dict[str, str]:
        """What is said of a variable of the top level: in a text of its own right after it, or in comments "#:" right before it."""
        module = self._modules.read(file)
        found: Dict[str, str] = {}
        body = module.tree.body if module is not None else []
        for statement, after in zip(body, [*body[1:], None]):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
            if module is None or not isinstance(target, ast.Name):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
                found[target.id] = first_paragraph(after.value.value)
                continue
            said: List[str] = []
            for line in reversed(module.lines[: statement.lineno - 1]):
                text = line.decode("utf-8", "replace").strip()
                if not text.startswith("#:"):
                    break
                said.insert(0, text[2:].strip())
            if said:
                found[target.id] = first_paragraph("\n".join(said))
        return {name: text for name, text in found.items() if text}

    def location_of(self, fn: object) -> Optional[Dict[str, object]]:
        """Where a function of the project begins: its `def`, not its decorators."""
        found = self._find(_unwrapped(fn))
        return found[0].location(found[1]) if found is not None else None

    def files(self) -> List[str]:
        """The project's own files that are loaded or were read."""
        return self._modules.files()

    def _function(self, fn: object) -> FunctionTree:
        function = _unwrapped(fn)
        pieces = Pieces(self._modules, self._readings)
        is_async = False
        if isinstance(function, types.FunctionType):
            is_async = bool(function.__code__.co_flags & 0x80)
        found = self._find(function)
        if found is None:
            self._add_foreign(pieces, function, 0)
            return FunctionTree(None, [], is_async, pieces.text(), [], [])
        module, node, around = found
        self._add_function(pieces, function, found, 0)
        problems: List[Problem] = []

        def resolve(annotation: Optional[ast.expr], subject: str) -> Optional[TypeSpec]:
            if annotation is None:
                return None
            try:
                return self._annotations.resolve(module, annotation)
            except NoType as error:
                problems.append(_problem(module, error, subject))
                return None

        returns = None if isinstance(node, ast.Lambda) else resolve(node.returns, "The type of what it returns")
        several = {id(node.args.vararg), id(node.args.kwarg)}
        named = [argument for argument in parameters_of(node.args) if id(argument) not in several]
        if isinstance(fn, types.MethodType) or (named and not isinstance(function, types.FunctionType)):
            named = named[1:]
        parameters = [(argument.arg, resolve(argument.annotation, f"The type of {argument.arg}")) for argument in named]
        clock = [{"file": file, "line": line, "what": what} for file, line, what in pieces.clock]
        return FunctionTree(returns, parameters, is_async, pieces.text(), clock, problems)

    def _add_function(self, pieces: Pieces, function: Any, found: "Tuple[Module, AnyFunction, List[AnyFunction]]", depth: int) -> None:
        module, node, around = found
        pieces.add_node(module, node, around)
        if not isinstance(function, types.FunctionType) or depth > 10:
            return
        # What a function that was made by a function holds differs from one to the next; the code that made it does not.
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            try:
                self._add_held(pieces, name, cell.cell_contents, depth)
            except ValueError:
                continue
        given = [*node.args.posonlyargs, *node.args.args]
        defaults = function.__defaults__ or ()
        for argument, default in zip(given[len(given) - len(defaults) :], defaults):
            self._add_held(pieces, argument.arg, default, depth)
        for name, default in sorted((function.__kwdefaults__ or {}).items()):
            self._add_held(pieces, name, default, depth)

    def _add_held(self, pieces: Pieces, name: str, value: object, depth: int) -> None:
        text = value_text(value, 0)
        if text is not None:
            pieces.add_text(f"{name} = {text}")
        elif callable(value):
            function = _unwrapped(value)
            found = self._find(function)
            if found is not None:
                self._add_function(pieces, function, found, depth + 1)
            else:
                self._add_foreign(pieces, function, depth + 1)
        else:
            pieces.add_text(f"{name} is {type(value).__module__}.{type(value).__qualname__}")

    def _add_foreign(self, pieces: Pieces, function: Any, depth: int) -> None:
        """A package's function, a class, a partial."""
        if isinstance(function, functools.partial):
            self._add_held(pieces, "func", function.func, depth)
            for index, value in enumerate(function.args):
                self._add_held(pieces, str(index), value, depth)
            for name, value in sorted(function.keywords.items()):
                self._add_held(pieces, name, value, depth)
            return
        cls = function if isinstance(function, type) else type(function)
        module = self._modules.read(getattr(sys.modules.get(cls.__module__), "__file__", None) or "")
        if module is not None:
            pieces.add_origin(Defined(module, cls.__qualname__.split(".")[0]))
            return
        of = function if hasattr(function, "__qualname__") else cls
        pieces.add_text(f"package {of.__module__}.{of.__qualname__}")
        if isinstance(function, types.FunctionType) and depth < 10:
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
                try:
                    held = cell.cell_contents
                except ValueError:
                    continue
                if callable(held):
                    self._add_held(pieces, name, held, depth + 1)

    def _find(self, function: Any) -> "Optional[Tuple[Module, AnyFunction, List[AnyFunction]]]":
        code = getattr(function, "__code__", None)
        if not isinstance(code, types.CodeType):
            call = getattr(type(function), "__call__", None)
            code = getattr(call, "__code__", None) if not isinstance(function, (type, functools.partial)) else None
            if not isinstance(code, types.CodeType):
                return None
        module = self._modules.read(code.co_filename)
        if module is None:
            return None
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        candidates = self._at_line(module).get((code.co_firstlineno, code.co_name), [])
        # Of several lambdas in a line, the one with these parameters.
        same = [at for at in candidates if tuple(argument.arg for argument in at[0].args.posonlyargs + at[0].args.args + at[0].args.kwonlyargs) == names]
        best = (same or candidates)[:1]
        return (module, best[0][0], best[0][1]) if best else None

    def _at_line(self, module: Module) -> "_Functions":
        found = self._functions.get(module.path)
        if found is None:
            found = self._functions[module.path] = {}
            for node, around in _functions(module.tree, []):
                for line in set(_first_lines(node)):
                    found.setdefault((line, getattr(node, "name", "<lambda>")), []).append((node, around))
        return found


def first_paragraph(text: str) -> str:
    """In one line."""
    return " ".join(text.strip().split("\n\n")[0].split())


def hint_for_load_error(error: BaseException) -> Optional[str]:
    """What an error of an older Python means to a file that newer ones load."""
    if isinstance(error, TypeError) and "unsupported operand type(s) for |" in str(error) and sys.version_info < (3, 10):
        here = "%d.%d" % sys.version_info[:2]
        return f"X | Y in annotations needs Python 3.10, this is {here}: write Optional[X], or from __future__ import annotations as the first line."
    return None


def _unwrapped(fn: Any) -> Any:
    for _ in range(100):
        if isinstance(fn, types.MethodType):
            fn = fn.__func__
        elif isinstance(fn, (staticmethod, classmethod)):
            fn = fn.__func__
        elif hasattr(fn, "__wrapped__") and callable(fn.__wrapped__):
            fn = fn.__wrapped__
        else:
            return fn
    return fn


def _functions(node: ast.AST, around: List[AnyFunction]) -> "Iterator[Tuple[AnyFunction, List[AnyFunction]]]":
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child, around
            yield from _functions(child, [*around, child])
        else:
            yield from _functions(child, around)


def _first_lines(node: AnyFunction) -> List[int]:
    decorators = [] if isinstance(node, ast.Lambda) else [decorator.lineno for decorator in node.decorator_list]
    return [node.lineno, *decorators]


def _class_node(module: Module, cls: type) -> Optional[ast.ClassDef]:
    names = set(getattr(cls, "__annotations__", {}) or {}) if sys.version_info < (3, 14) else set()
    line = cls.__dict__.get("__firstlineno__")
    found: Optional[ast.ClassDef] = None
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            own = {inner.target.id for inner in node.body if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)}
            lines = [node.lineno, *[decorator.lineno for decorator in node.decorator_list]]
            if line in lines or (line is None and own == names):
                return node
            # Of several of a name the last is the one that is left.
            found = node
    return found


def _problem(module: Module, error: NoType, subject: str) -> Problem:
    return {"message": f"{subject}: {error.message}", "hint": error.hint, "location": module.location(error.node)}


@contextmanager
def _deep() -> Iterator[None]:
    """A sum of a thousand terms is a tree a thousand deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 12_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
