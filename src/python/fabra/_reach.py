"""What a function is made of: its own code and that of everything of the project's that it refers to, in its file and in the files that it
imports, however far. Packages count by name only; what other definitions say is fingerprinted with them, not again by all that refer to them.
"""
from __future__ import annotations

import ast
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set

from ._bindings import alias_of, chain_of
from ._clock import clock_of
from ._fingerprint import dump
from ._modules import Defined, Module, Modules, Origin, Package, Whole
from ._scopes import AnyFunction, Mention, Reading, read_code

DEFINERS = frozenset(["entity", "source", "feature", "feature_set", "pushed", "FeatureStore"])


class Seen(NamedTuple):
    text: str
    reading: Reading
    module: Module


class Pieces:
    """Of one function, in the order they are found, each once."""

    def __init__(self, modules: Modules, readings: "Dict[tuple[str, int], Seen]") -> None:
        self._modules = modules
        self._readings = readings
        self._texts: List[str] = []
        self._seen: Set[object] = set()
        self.clock: Dict["tuple[str, int, str]", None] = {}

    def text(self) -> str:
        return "\n".join(self._texts)

    def add_text(self, text: str) -> None:
        self._texts.append(text)

    def add_node(self, module: Module, node: ast.AST, around: Iterable[AnyFunction] = (), is_kept: bool = False) -> None:
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        seen = self._read(module, node, around)
        self.add_text(seen.text)
        # Once more as they are: the names of sources are looked for in them.
        for said in seen.reading.strings:
            self.add_text(said)
        for mention in seen.reading.mentions:
            what = clock_of(mention, is_kept)
            if what is not None:
                self.clock[(module.shown, mention.node.lineno, what)] = None
            self._add_mention(mention)
        self._add_effects(module, seen.reading.names)

    def _read(self, module: Module, node: ast.AST, around: Iterable[AnyFunction] = ()) -> Seen:
        key = (module.path, id(node))
        if key not in self._readings:
            dropped = {
                id(decorator)
                for inner in ast.walk(node)
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                for decorator in inner.decorator_list
                if self.is_definer(module, decorator)
            }

            def leave_out(inner: ast.AST) -> bool:
                return id(inner) in dropped

            self._readings[key] = Seen(dump(node, leave_out), read_code(self._modules, module, node, leave_out, around), module)
        return self._readings[key]

    def is_definer(self, module: Module, node: ast.AST) -> bool:
        """`feature`, `fabra.feature(…)`, `entity(…)`."""
        chain = chain_of(node.func if isinstance(node, ast.Call) else node)
        if chain is None:
            return False
        found = self._modules.follow(self._modules.resolve(module, chain[0]), chain[1:])
        name = found[0].name if found is not None and isinstance(found[0], Package) else ""
        return name.startswith("fabra.") and name.split(".", 1)[1] in DEFINERS

    def _is_definition(self, module: Module, name: str, statement: ast.stmt) -> bool:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return any(self.is_definer(module, decorator) for decorator in statement.decorator_list)
        value = alias_of(statement, name)
        # `feature(…)(function)` too.
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Call):
            value = value.func
        return isinstance(value, ast.Call) and self.is_definer(module, value)

    def _add_mention(self, mention: Mention) -> None:
        origin = mention.origin
        if isinstance(origin, Defined):
            self._add_defined(origin, mention.call is not None and not mention.rest)
        elif isinstance(origin, Whole):
            if origin.module is not None:
                self.add_module(origin.module)
        elif not origin.name.startswith(("builtins.", "fabra.")):
            self._add_once(f"package {origin.name}")

    def _add_once(self, text: str) -> None:
        if text not in self._seen:
            self._seen.add(text)
            self.add_text(text)

    def _add_defined(self, origin: Defined, is_called: bool) -> None:
        for statement in origin.module.bindings.get(origin.name, []):
            is_function = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))
            # A feature's function that is called like any other is code of the caller's.
            if self._is_definition(origin.module, origin.name, statement) and not (is_called and is_function):
                self._add_once(f"definition {origin.name}")
            else:
                self.add_node(origin.module, statement, is_kept=not is_function)

    def add_origin(self, origin: Optional[Origin]) -> None:
        if isinstance(origin, Defined):
            self._add_defined(origin, True)
        elif isinstance(origin, Whole) and origin.module is not None:
            self.add_module(origin.module)

    def add_module(self, module: Module) -> None:
        """All of a module: what it declares and what it does when it is imported."""
        if module.path in self._seen:
            return
        self._seen.add(module.path)
        for name in module.bindings:
            self._add_defined(Defined(module, name), False)
        for name in module.imports:
            origin = self._modules.resolve(module, name)
            if isinstance(origin, Package):
                self._add_once(f"package {origin.name}")
            else:
                self.add_origin(origin)
        for effect in module.effects:
            self._add_effect(module, effect)

    def _add_effects(self, module: Module, names: FrozenSet[str]) -> None:
        """Statements that may change what the code sees: those about the same names, and those about no name of the module."""
        for effect in module.effects:
            if id(effect) in self._seen:
                continue
            own = {name for name in self._read(module, effect).reading.names if name in module.bindings or name in module.imports}
            if not own or own & names:
                self._add_effect(module, effect)

    def _add_effect(self, module: Module, effect: ast.stmt) -> None:
        call = effect.value if isinstance(effect, ast.Expr) else None
        if call is None or not self.is_definer(module, call):
            self.add_node(module, effect, is_kept=True)
