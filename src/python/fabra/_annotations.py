"""The type of a value as its annotation says it: read from the syntax tree, so that every version of Python reads the same and what is no
type has a line. Nothing is evaluated.
"""
from __future__ import annotations

import ast
import difflib
import sys
from typing import Dict, List, NamedTuple, Optional, Union

from ._bindings import alias_of, chain_of
from ._modules import Defined, Module, Modules, Origin, Package


class TypeSpec(NamedTuple):
    # int float string bool timestamp list dict json
    type: str
    # "list[str]", "dict[str, float]": the whole type, where it says what is inside.
    element: Optional[str]
    nullable: bool


class NoType(Exception):
    def __init__(self, node: ast.AST, message: str, hint: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message
        self.hint = hint


_JSON = TypeSpec("json", None, False)
_NULL = TypeSpec("json", None, True)
KNOWN_TYPES = "int, float, str, bool, list, dict, datetime, list[str], dict[str, float], Optional[…] or Any"
# How a type is written as the element of another.
_SHOWN = {"int": "int", "float": "float", "string": "str", "bool": "bool", "timestamp": "datetime", "list": "list", "dict": "dict", "json": "Any"}
_TYPES: Dict[str, str] = {}
for _type, _names in {
    "int": "builtins.int numpy.integer numpy.int8 numpy.int16 numpy.int32 numpy.int64 numpy.uint8 numpy.uint16 numpy.uint32 numpy.uint64",
    "float": "builtins.float numbers.Real numbers.Number numpy.floating numpy.float16 numpy.float32 numpy.float64 numpy.double",
    "string": "builtins.str uuid.UUID typing.Text typing.LiteralString typing_extensions.LiteralString numpy.str_",
    "bool": "builtins.bool numpy.bool_ numpy.bool",
    "timestamp": "datetime.datetime pandas.Timestamp numpy.datetime64",
    "list": "builtins.list builtins.tuple typing.List typing.Tuple typing.Sequence typing.MutableSequence collections.abc.Sequence"
    " collections.abc.MutableSequence typing.Collection collections.abc.Collection typing.NamedTuple collections.deque"
    " numpy.ndarray numpy.typing.NDArray numpy.typing.ArrayLike pandas.Series pandas.Index polars.Series pyarrow.Array",
    "dict": "builtins.dict typing.Dict typing.Mapping typing.MutableMapping typing.DefaultDict typing.OrderedDict typing.TypedDict"
    " typing_extensions.TypedDict collections.abc.Mapping collections.abc.MutableMapping collections.defaultdict collections.OrderedDict"
    " collections.Counter typing.Counter pydantic.BaseModel pydantic.main.BaseModel",
    "json": "builtins.object typing.Any typing.Union typing.Optional typing_extensions.Any typing.Hashable decimal.Decimal datetime.date",
}.items():
    for _name in _names.split():
        _TYPES[_name] = _type
_ARRAYS = frozenset("numpy.ndarray numpy.typing.NDArray numpy.typing.ArrayLike pandas.Series pandas.Index polars.Series pyarrow.Array".split())
_AROUND = frozenset(
    f"{module}.{name}"
    for module in ("typing", "typing_extensions")
    for name in ("Annotated", "Final", "Required", "NotRequired", "ReadOnly", "ClassVar")
)
_AWAITED = frozenset(["typing.Awaitable", "typing.Coroutine", "collections.abc.Awaitable", "collections.abc.Coroutine"])
_NO_VALUE = {
    **dict.fromkeys(["builtins.set", "builtins.frozenset", "typing.Set", "typing.FrozenSet", "collections.abc.Set"], "Return a list: sorted(values)."),
    **dict.fromkeys(["builtins.bytes", "builtins.bytearray", "builtins.memoryview"], "Return text: value.hex(), or value.decode()."),
    **dict.fromkeys(
        [f"{module}.{name}" for module in ("typing", "collections.abc") for name in ("Iterator", "Iterable", "Generator", "AsyncIterator", "AsyncGenerator")],
        "Return a list: list(values).",
    ),
    **dict.fromkeys(["builtins.complex"], "Return its parts: [value.real, value.imag]."),
    **dict.fromkeys(["datetime.timedelta"], "Return seconds as a float: value.total_seconds()."),
    **dict.fromkeys(["pandas.DataFrame", "polars.DataFrame"], 'Return rows: frame.to_dict("records"), as list[dict].'),
    **dict.fromkeys(["typing.Callable", "collections.abc.Callable", "builtins.type", "typing.Type"], "Return a value, not code."),
}


class Annotations:
    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    def resolve(self, module: Module, node: ast.expr) -> TypeSpec:
        """@throws NoType with the node that is none."""
        return self._type(module, node, 0)

    def _type(self, module: Module, node: ast.expr, depth: int) -> TypeSpec:
        if depth > 50:
            raise NoType(node, "The type refers to itself.", f"Use one of {KNOWN_TYPES}.")
        if isinstance(node, ast.Constant):
            if node.value is None:
                return _NULL
            if isinstance(node.value, str):
                return self._type(module, _parsed(node), depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return _union([self._type(module, node.left, depth + 1), self._type(module, node.right, depth + 1)])
        if isinstance(node, ast.Subscript):
            return self._subscript(module, node, depth)
        origin = self.origin_of(module, node)
        if origin is None:
            raise self._unknown(module, node)
        return self._named(module, node, origin, depth)

    def origin_of(self, module: Module, node: ast.expr) -> "Optional[Union[Package, Defined]]":
        chain = chain_of(node)
        found = self._modules.follow(self._modules.resolve(module, chain[0]), chain[1:]) if chain else None
        if found is None or not isinstance(found[0], (Package, Defined)):
            return None
        # A class inside a class, or an attribute of a value: no version could tell it by reading.
        return None if found[1] else found[0]

    def _named(self, module: Module, node: ast.expr, origin: Origin, depth: int) -> TypeSpec:
        if isinstance(origin, Package):
            known = _TYPES.get(origin.name)
            if known is not None:
                return TypeSpec(known, None, False)
            if origin.name in _NO_VALUE:
                raise NoType(node, f"{_shown(node)} is no type of a value that is kept.", _NO_VALUE[origin.name])
            if "." not in origin.name or origin.name in sys.modules:
                raise _module(node, origin.name)
            if origin.name.startswith("builtins.") and not _is_builtin_type(origin.name):
                raise self._no_type(node)
            # A package's own class: what it is shows when a value comes.
            return _JSON
        if not isinstance(origin, Defined):
            raise self._no_type(node)
        statement = origin.module.bindings[origin.name][-1]
        if isinstance(statement, ast.ClassDef):
            return self._class(origin.module, statement, depth)
        if type(statement).__name__ == "TypeAlias":
            return self._type(origin.module, getattr(statement, "value"), depth + 1)
        value = alias_of(statement, origin.name)
        if isinstance(value, ast.Call):
            return self._made(origin.module, node, value, depth)
        if value is None or (isinstance(value, ast.Constant) and not isinstance(value.value, str)):
            raise self._no_type(node)
        return self._type(origin.module, value, depth + 1)

    def _made(self, module: Module, node: ast.expr, call: ast.Call, depth: int) -> TypeSpec:
        """`UserId = NewType("UserId", str)`, `T = TypeVar("T")`, `Point = namedtuple(…)`."""
        maker = self.origin_of(module, call.func)
        name = maker.name.split(".")[-1] if isinstance(maker, Package) else ""
        if name == "NewType" and len(call.args) == 2:
            return self._type(module, call.args[1], depth + 1)
        if name in ("namedtuple", "NamedTuple"):
            return TypeSpec("list", None, False)
        if name == "TypedDict":
            return TypeSpec("dict", None, False)
        if name in ("TypeVar", "create_model", "make_dataclass", "Enum"):
            return _JSON if name in ("TypeVar", "Enum") else TypeSpec("dict", None, False)
        raise self._no_type(node)

    def _class(self, module: Module, node: ast.ClassDef, depth: int) -> TypeSpec:
        if any(self._ends_with(module, decorator, "dataclass", "define", "frozen", "attrs") for decorator in node.decorator_list):
            return TypeSpec("dict", None, False)
        for base in node.bases:
            if any(self._ends_with(module, base, name) for name in ("Enum", "StrEnum", "IntEnum", "Flag")):
                continue
            try:
                found = self._type(module, base, depth + 1)
            except NoType:
                continue
            if found.type != "json":
                # IntEnum and class Level(str, Enum) are what they are made of.
                return TypeSpec(found.type, None, False)
        names = [base for base in node.bases if self._ends_with(module, base, "StrEnum", "IntEnum")]
        if names:
            return TypeSpec("string" if self._ends_with(module, names[0], "StrEnum") else "int", None, False)
        return _JSON

    def _ends_with(self, module: Module, node: ast.expr, *names: str) -> bool:
        origin = self.origin_of(module, node.func if isinstance(node, ast.Call) else node)
        return isinstance(origin, Package) and origin.name.split(".")[-1] in names

    def _subscript(self, module: Module, node: ast.Subscript, depth: int) -> TypeSpec:
        origin = self.origin_of(module, node.value)
        if origin is None:
            raise self._unknown(module, node.value)
        inside: List[ast.expr] = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        name = origin.name if isinstance(origin, Package) else ""
        last = name.split(".")[-1]
        if last == "Optional":
            return _union([self._type(module, inside[0], depth + 1), _NULL])
        if last == "Union":
            return _union([self._type(module, part, depth + 1) for part in inside])
        if last == "Literal":
            return _union([_literal(part, node) for part in inside])
        if name in _AROUND:
            return self._type(module, inside[0], depth + 1)
        if name in _AWAITED:
            return self._type(module, inside[-1], depth + 1)
        outer = self._named(module, node.value, origin, depth)
        if outer.type not in ("list", "dict"):
            if outer.type != "json":
                raise NoType(node, f"{_shown(node)} is no type: {_shown(node.value)} has nothing inside.", f"Use one of {KNOWN_TYPES}.")
            return outer
        if name in _ARRAYS or not isinstance(origin, Package):
            return outer
        elements = [self._inside(module, part, depth) for part in inside if not _is_dots(part)]
        if last in ("Counter",):
            elements = [*elements, "int"]
        if outer.type == "dict":
            if elements and elements[0] not in ("str", "Any"):
                raise NoType(node, f"{_shown(node)}: the names in a dict are texts.", "Use dict[str, …].")
            return TypeSpec("dict", f"dict[{', '.join(elements)}]" if len(elements) == 2 else None, False)
        kinds = list(dict.fromkeys(elements))
        return TypeSpec("list", f"list[{kinds[0]}]" if len(kinds) == 1 and kinds[0] != "Any" else None, False)

    def _inside(self, module: Module, node: ast.expr, depth: int) -> str:
        found = self._type(module, node, depth + 1)
        shown = found.element or _SHOWN[found.type]
        return f"Optional[{shown}]" if found.nullable and shown != "Any" else shown

    def _no_type(self, node: ast.AST) -> NoType:
        return NoType(node, f"{_shown(node)} is no type.", f"Use one of {KNOWN_TYPES}.")

    def _unknown(self, module: Module, node: ast.expr) -> NoType:
        chain = chain_of(node)
        if chain is None or len(chain) > 1:
            return self._no_type(node)
        names = ["int", "float", "str", "bool", "list", "dict", "datetime", "Optional", "Any", *module.bindings, *module.imports]
        near = difflib.get_close_matches(chain[0], names, 1)
        imported = {"datetime": "from datetime import datetime", "Optional": "from typing import Optional", "Any": "from typing import Any"}
        if chain[0] in imported:
            hint = f"Write {imported[chain[0]]} above."
        elif near:
            hint = f"Did you mean {near[0]}?"
        else:
            hint = f"Use one of {KNOWN_TYPES}."
        return NoType(node, f"{chain[0]} is no type that the file knows at its top level.", hint)


def _module(node: ast.AST, name: str) -> NoType:
    last = name.split(".")[-1]
    inside = next((known for known in _TYPES if known in (f"{name}.{last}", f"{name}.{last.upper()}", f"{name}.{last.capitalize()}")), None)
    hint = f"Use one of {KNOWN_TYPES}." if inside is None else f"Write {_shown(node)}.{inside.split('.')[-1]}."
    return NoType(node, f"{_shown(node)} is a module, no type.", hint)


def _is_builtin_type(name: str) -> bool:
    import builtins

    return isinstance(getattr(builtins, name.split(".", 1)[1], None), type)


def _parsed(node: ast.Constant) -> ast.expr:
    try:
        parsed = ast.parse(str(node.value).strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise NoType(node, f"{_shown(node)} is no type.", f"Use one of {KNOWN_TYPES}.") from None
    for inner in ast.walk(parsed):
        ast.copy_location(inner, node)
    return parsed


def _literal(part: ast.expr, around: ast.AST) -> TypeSpec:
    value = part.operand if isinstance(part, ast.UnaryOp) else part
    found = type(value.value) if isinstance(value, ast.Constant) else None
    if found is type(None):
        return _NULL
    names = {bool: "bool", int: "int", str: "string"}
    if found in names:
        return TypeSpec(names[found], None, False)
    if found is None:
        return _JSON
    raise NoType(around, f"{_shown(around)} is no type.", "A Literal holds texts, whole numbers, True, False and None.")


def _union(parts: List[TypeSpec]) -> TypeSpec:
    nullable = any(part.nullable for part in parts)
    kinds = list(dict.fromkeys((part.type, part.element) for part in parts if part != _NULL))
    if len(kinds) == 1:
        return TypeSpec(kinds[0][0], kinds[0][1], nullable)
    types = {kind for kind, _ in kinds}
    if len(types) == 1:
        return TypeSpec(types.pop(), None, nullable)
    return TypeSpec("float" if types == {"int", "float"} else "json", None, nullable)


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _shown(node: ast.AST) -> str:
    try:
        text = ast.unparse(node)
    except (ValueError, RecursionError):
        text = type(node).__name__
    return text if len(text) <= 60 else text[:59] + "…"
