"""The project's files as syntax trees, and what a name in them stands for: found by reading, never by running anything."""
from __future__ import annotations

import ast
import builtins
import os
import sys
import warnings
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Union

from ._bindings import Import, alias_of, bound_in, chain_of, imports_of


class Package(NamedTuple):
    """Something outside the project, by its dotted name: datetime.datetime.now, builtins.len."""

    name: str


class Whole(NamedTuple):
    """A module of the project, or a folder of modules without a file of its own."""

    module: Optional["Module"]
    folder: Optional[str]


class Defined(NamedTuple):
    """A name of a module of the project: a function, a class, a value."""

    module: "Module"
    name: str


Origin = Union[Package, Whole, Defined]

_COMPOUND = (ast.If, ast.Try, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While)


class Module:
    def __init__(self, path: str, data: bytes, shown: str) -> None:
        self.path = path
        # As people know it: a link may lead to the project.
        self.shown = shown
        with warnings.catch_warnings():
            # The import of the file has shown them.
            warnings.simplefilter("ignore")
            self.tree = ast.parse(data, path)
        self.lines = data.splitlines()
        self.imports: Dict[str, Import] = {}
        self.stars: List[Import] = []
        # Statements of the top level that bind the name, in order.
        self.bindings: Dict[str, List[ast.stmt]] = {}
        # Statements of the top level that bind nothing.
        self.effects: List[ast.stmt] = []
        for statement in self.tree.body:
            self._read(statement)

    def _read(self, statement: ast.stmt) -> None:
        for inner in _statements(statement):
            if isinstance(inner, (ast.Import, ast.ImportFrom)):
                for name, origin in imports_of(inner):
                    if name == "*":
                        self.stars.append(origin)
                    else:
                        # Of `try: import a except: import b as a` the first: what is wanted, not what will do.
                        self.imports.setdefault(name, origin)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return
        bound = bound_in(statement).names
        for name in bound:
            self.bindings.setdefault(name, []).append(statement)
        if not bound and not _is_inert(statement):
            self.effects.append(statement)

    def location(self, node: ast.AST) -> Dict[str, object]:
        line = getattr(node, "lineno", 1)
        text = self.lines[line - 1] if line <= len(self.lines) else b""
        before = text[: getattr(node, "col_offset", 0)].decode("utf-8", "replace")
        return {"file": self.shown, "line": line, "column": len(before) + 1}


def _statements(statement: ast.stmt) -> Iterator[ast.stmt]:
    yield statement
    if isinstance(statement, _COMPOUND) or type(statement).__name__ in ("TryStar", "Match"):
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                yield from _statements(child)
            elif isinstance(child, ast.ExceptHandler) or type(child).__name__ == "match_case":
                for inner in getattr(child, "body", []):
                    yield from _statements(inner)


def _is_inert(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If):
        named = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)}
        return "__name__" in named or "TYPE_CHECKING" in named
    return isinstance(statement, ast.Pass)


class Modules:
    """Of the project: files in its folders that are not an installed package's, not Python's own and not ours."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._given = [os.path.abspath(root) for root in roots]
        self._roots = [os.path.realpath(root) for root in roots]
        self._outside = [os.path.dirname(os.path.realpath(path)) for path in (__file__, os.__file__)]
        self._modules: Dict[str, Optional[Module]] = {}
        self._found: Dict[str, Optional[Whole]] = {}
        self._is_own: Dict[str, bool] = {}
        self._real_folders: Dict[str, str] = {}

    def read(self, path: str) -> Optional[Module]:
        """None when it is not the project's or cannot be read: the import of it has told."""
        path = os.path.realpath(path)
        if path not in self._modules:
            module = None
            if self.is_own(path) and path.endswith(".py"):
                try:
                    with open(path, "rb") as file:
                        module = Module(path, file.read(), self._shown(path))
                except (OSError, SyntaxError, ValueError, RecursionError):
                    module = None
            self._modules[path] = module
        return self._modules[path]

    def files(self) -> List[str]:
        read = {path for path, module in self._modules.items() if module is not None}
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if not isinstance(path, str) or not path.endswith(".py"):
                continue
            real = self._real(path)
            if self.is_own(real):
                read.add(real)
        return sorted(self._shown(path) for path in read)

    def _real(self, path: str) -> str:
        """As os.path.realpath() says, which looks at every folder above each file: there may be thousands of modules."""
        folder, name = os.path.split(path)
        real = self._real_folders.get(folder)
        if real is None:
            real = self._real_folders[folder] = os.path.realpath(folder)
        joined = os.path.join(real, name)
        return os.path.realpath(joined) if os.path.islink(joined) else joined

    def _shown(self, path: str) -> str:
        for given, real in zip(self._given, self._roots):
            if _is_within(path, real):
                return given + path[len(real) :]
        return path

    def is_own(self, path: str) -> bool:
        folder = os.path.dirname(path)
        if folder not in self._is_own:
            self._is_own[folder] = self._judge(folder)
        return self._is_own[folder]

    def _judge(self, folder: str) -> bool:
        root = next((root for root in self._roots if _is_within(folder, root)), None)
        # A project may lie in a folder of packages itself; Python and packages may lie in the project's folder.
        if root is None or any(_is_within(folder, outside) and not _is_within(root, outside) for outside in self._outside):
            return False
        inner = folder
        while _is_within(inner, root) and inner != root:
            if os.path.basename(inner) in ("site-packages", "dist-packages", "node_modules") or os.path.exists(os.path.join(inner, "pyvenv.cfg")):
                return False
            inner = os.path.dirname(inner)
        return True

    def resolve(self, module: Module, name: str, seen: FrozenSet["tuple[str, str]"] = frozenset()) -> Optional[Origin]:
        """What a name of the module's top level stands for, through imports and aliases; None: nobody binds it."""
        key = (module.path, name)
        if key in seen:
            return Defined(module, name) if name in module.bindings else None
        seen = seen | {key}
        if name in module.imports:
            return self.imported(module, module.imports[name], seen)
        if name in module.bindings:
            statements = module.bindings[name]
            alias = alias_of(statements[0], name) if len(statements) == 1 else None
            chain = chain_of(alias) if alias is not None else None
            target = self.follow(self.resolve(module, chain[0], seen), chain[1:], seen) if chain else None
            return target[0] if target is not None and not target[1] else Defined(module, name)
        for star in module.stars:
            found = self.imported(module, Import(star.module, name, star.level), seen, must_exist=True)
            if found is not None:
                return found
        return Package("builtins." + name) if hasattr(builtins, name) else None

    def follow(
        self, origin: Optional[Origin], attributes: Sequence[str], seen: FrozenSet["tuple[str, str]"] = frozenset()
    ) -> "Optional[tuple[Origin, List[str]]]":
        """Goes along attributes, as far as modules go; what is left belongs to a value."""
        rest = list(attributes)
        while origin is not None and rest and isinstance(origin, Whole):
            origin = self._member(origin, rest.pop(0), seen)
        if origin is None:
            return None
        if isinstance(origin, Package):
            return Package(".".join([origin.name, *rest])), []
        return origin, rest

    def imported(
        self, module: Module, what: Import, seen: FrozenSet["tuple[str, str]"] = frozenset(), must_exist: bool = False
    ) -> Optional[Origin]:
        whole = self.find(module, what)
        if whole is None:
            name = what.module if what.name is None else what.module + "." + what.name
            if must_exist and (what.name is None or not hasattr(sys.modules.get(what.module), what.name)):
                return None
            return Package("." * what.level + name)
        if what.name is None:
            return whole
        return self._member(whole, what.name, seen)

    def _member(self, whole: Whole, name: str, seen: FrozenSet["tuple[str, str]"]) -> Optional[Origin]:
        module = whole.module
        if module is not None:
            own = name in module.imports or name in module.bindings or bool(module.stars)
            found = self.resolve(module, name, seen) if own else None
            if found is not None and not (isinstance(found, Package) and found.name.startswith("builtins.")):
                return found
        folder = whole.folder
        return self._in_folder(os.path.join(folder, name)) if folder is not None else None

    def find(self, module: Module, what: Import) -> Optional[Whole]:
        parts = what.module.split(".") if what.module else []
        if what.level > 0:
            folder = os.path.dirname(module.path)
            for _ in range(what.level - 1):
                folder = os.path.dirname(folder)
            return self._in_folder(os.path.join(folder, *parts))
        if what.module not in self._found:
            self._found[what.module] = self._search(parts)
        return self._found[what.module]

    def _search(self, parts: List[str]) -> Optional[Whole]:
        for folder in [*sys.path, *self._roots]:
            base = os.path.join(os.path.realpath(folder or "."), *parts)
            found = self._in_folder(base)
            if found is not None and (found.module is not None or self.is_own(os.path.join(base, "any"))):
                return found
            # Somebody else's of that name comes first.
            if os.path.isfile(base + ".py") or os.path.isfile(os.path.join(base, "__init__.py")):
                return None
        return None

    def _in_folder(self, base: str) -> Optional[Whole]:
        package = self.read(os.path.join(base, "__init__.py")) if os.path.isfile(os.path.join(base, "__init__.py")) else None
        if package is not None:
            return Whole(package, base)
        if os.path.isfile(base + ".py"):
            module = self.read(base + ".py")
            return Whole(module, None) if module is not None else None
        return Whole(None, base) if os.path.isdir(base) and self.is_own(os.path.join(base, "any")) else None


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
