"""What a piece of code refers to beyond itself: names of its module, with what is local to its functions told apart."""
from __future__ import annotations

import ast
from typing import Callable, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Union

from ._bindings import Import, alias_of, bound_in, chain_of
from ._fingerprint import body_without_docstring, joined_parts
from ._modules import Module, Modules, Origin, Package


class Mention(NamedTuple):
    node: ast.expr
    # The name in the module's top level; None for what a local import or alias stands for.
    name: Optional[str]
    origin: Origin
    # Attributes of a value, left over: `limits.daily` of a class.
    rest: List[str]
    # When it is called here.
    call: Optional[ast.Call]


class Reading(NamedTuple):
    mentions: List[Mention]
    strings: List[str]
    # Of the module, as far as they are mentioned.
    names: FrozenSet[str]


# What a local name stands for; None: a value of its own.
_Locals = Dict[str, "Optional[Union[Origin, ast.expr]]"]
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
AnyFunction = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda]
_COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_UNEVALUATED = frozenset({"annotation", "returns", "type_params"})


def read_code(
    modules: Modules, module: Module, node: ast.AST, leave_out: Callable[[ast.AST], bool], around: Iterable[AnyFunction] = ()
) -> Reading:
    """`around`: the functions that the code stands in, outermost first."""
    reader = _Reader(modules, module, leave_out)
    scopes = [reader.locals_of(function) for function in around]
    reader.visit(node, scopes)
    names = frozenset(mention.name for mention in reader.mentions if mention.name is not None)
    return Reading(reader.mentions, reader.strings, names)


class _Reader:
    def __init__(self, modules: Modules, module: Module, leave_out: Callable[[ast.AST], bool]) -> None:
        self._modules = modules
        self._module = module
        self._leave_out = leave_out
        self.mentions: List[Mention] = []
        self.strings: List[str] = []

    def visit(self, node: ast.AST, scopes: List[_Locals]) -> None:
        if self._leave_out(node):
            return
        if isinstance(node, _FUNCTION):
            self._function(node, scopes)
        elif isinstance(node, ast.ClassDef):
            self._class(node, scopes)
        elif isinstance(node, _COMPREHENSION):
            names = bound_in(*[generator.target for generator in node.generators]).names
            self._children(node, [*scopes, dict(names)])
        elif isinstance(node, ast.Call):
            self._call(node, scopes)
        elif isinstance(node, (ast.Name, ast.Attribute)):
            if isinstance(node, ast.Attribute) or isinstance(node.ctx, ast.Load):
                self._expression(node, scopes, None)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                self.strings.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            for value in joined_parts(node.values):
                self.visit(value, scopes)
        else:
            self._children(node, scopes)

    def _children(self, node: ast.AST, scopes: List[_Locals]) -> None:
        # In the order of the fingerprint, which no version changes.
        for field in sorted(node._fields):
            if field in _UNEVALUATED:
                continue
            part = getattr(node, field, None)
            for child in part if isinstance(part, list) else [part]:
                if isinstance(child, ast.AST):
                    self.visit(child, scopes)

    def _function(self, node: AnyFunction, scopes: List[_Locals]) -> None:
        outside: List[ast.AST] = [*node.args.defaults, *[default for default in node.args.kw_defaults if default is not None]]
        if not isinstance(node, ast.Lambda):
            outside = [*node.decorator_list, *outside]
        for part in outside:
            self.visit(part, scopes)
        inner = [*scopes, self.locals_of(node)]
        for part in [node.body] if isinstance(node, ast.Lambda) else body_without_docstring(node):
            self.visit(part, inner)

    def _class(self, node: ast.ClassDef, scopes: List[_Locals]) -> None:
        for part in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(part, scopes)
        body = body_without_docstring(node)
        own: _Locals = {}
        self._bind(own, list(body))
        for statement in body:
            # Names of a class are not seen in its methods.
            self.visit(statement, scopes if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) else [*scopes, own])

    def _call(self, node: ast.Call, scopes: List[_Locals]) -> None:
        if self._found(node, scopes) is not None:
            self._mention(node, scopes, None)
        elif isinstance(node.func, (ast.Name, ast.Attribute)):
            self._expression(node.func, scopes, node)
        else:
            self.visit(node.func, scopes)
        for part in [*node.args, *node.keywords]:
            self.visit(part, scopes)

    def _expression(self, node: ast.expr, scopes: List[_Locals], call: Optional[ast.Call]) -> None:
        if self._mention(node, scopes, call):
            return
        if isinstance(node, ast.Attribute):
            self.visit(node.value, scopes)

    def _mention(self, node: ast.expr, scopes: List[_Locals], call: Optional[ast.Call]) -> bool:
        found = self._found(node, scopes)
        if found is None:
            return False
        chain = chain_of(node)
        name = chain[0] if chain is not None and not any(chain[0] in scope for scope in scopes) else None
        self.mentions.append(Mention(node, name, found[0], found[1], call))
        return True

    def _found(self, node: ast.expr, scopes: List[_Locals], depth: int = 0) -> "Optional[tuple[Origin, List[str]]]":
        """What an expression stands for, where that can be told: names, attributes, `getattr(x, 'y')`, `__import__('x')`."""
        if depth > 20:
            return None
        rest: List[str] = []
        while isinstance(node, ast.Attribute):
            rest.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            at = next((index for index in range(len(scopes) - 1, -1, -1) if node.id in scopes[index]), None)
            if at is None:
                return self._modules.follow(self._modules.resolve(self._module, node.id), rest)
            value = scopes[at][node.id]
            if isinstance(value, ast.expr):
                aliased = self._found(value, scopes[: at + 1], depth + 1)
                return None if aliased is None else self._modules.follow(aliased[0], [*aliased[1], *rest])
            return None if value is None else self._modules.follow(value, rest)
        if isinstance(node, ast.Call) and node.args:
            said = node.args[-1].value if isinstance(node.args[-1], ast.Constant) else None
            func = self._found(node.func, scopes, depth + 1)
            if isinstance(said, str) and func is not None:
                if func[0] == Package("builtins.getattr") and len(node.args) == 2:
                    base = self._found(node.args[0], scopes, depth + 1)
                    return None if base is None else self._modules.follow(base[0], [*base[1], said, *rest])
                if func[0] in (Package("builtins.__import__"), Package("importlib.import_module")) and len(node.args) == 1:
                    return self._modules.follow(self._modules.imported(self._module, Import(said, None, 0)), rest)
        return None

    def locals_of(self, node: AnyFunction) -> _Locals:
        found: _Locals = {}
        for argument in parameters_of(node.args):
            found[argument.arg] = None
        body: List[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        self._bind(found, body)
        return found

    def _bind(self, found: _Locals, body: List[ast.AST]) -> None:
        bound = bound_in(*body)
        aliases: Dict[str, Optional[ast.expr]] = {}
        for statement in body:
            name = _target(statement)
            if name is not None:
                # Bound twice, it may be either: then it stands for a value.
                aliases[name] = alias_of(statement, name) if name not in aliases else None
        for name in bound.names:
            if name in bound.outer:
                continue
            alias = aliases.get(name)
            if name in found:
                found[name] = None
            elif name in bound.imports:
                found[name] = self._modules.imported(self._module, bound.imports[name])
            elif isinstance(alias, (ast.Name, ast.Attribute, ast.Call)) and not _names(alias, name):
                found[name] = alias
            else:
                found[name] = None


def _target(statement: ast.AST) -> Optional[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None


def _names(node: ast.AST, name: str) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))


def parameters_of(arguments: ast.arguments) -> List[ast.arg]:
    several = [arguments.vararg, arguments.kwarg]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *[argument for argument in several if argument is not None]]
