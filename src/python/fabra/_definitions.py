"""What a features file calls. Nothing is checked here: the server checks the drafts of all languages by the same rules."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import ColumnsOptions, Described, EntityOptions, FunctionOptions, PushedOptions, SourceOptions, SqlOptions

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class SourceLocation(NamedTuple):
    file: str
    line: int


def caller() -> SourceLocation:
    """The line of the user's code that is being run."""
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return SourceLocation("", 1)
    return SourceLocation(os.path.abspath(frame.f_code.co_filename), frame.f_lineno)


class Definition:
    """An entity, a source, a feature or a feature set, as the file wrote it."""

    def __init__(self, kind: str, args: Tuple[Any, ...], options: Mapping[str, Any], target: Any = None, place: Optional[SourceLocation] = None) -> None:
        self._kind = kind
        self._args = tuple(one for one in args if not isinstance(one, FeatureStore))
        self._options: Dict[str, Any] = {name: value for name, value in options.items() if name != "store"}
        #: The function or the class that it decorates.
        self._target = target
        self._place = place or caller()
        self._id = len(_made) + 1
        #: Given when the files are loaded.
        self._name: Optional[str] = None
        _made.append(self)
        if target is not None:
            _by_target[id(target)] = self

    @property
    def name(self) -> Optional[str]:
        return self._name

    def __repr__(self) -> str:
        return f"<{self._kind.replace('_', ' ')} {self._name or '(no name yet)'} of {os.path.basename(self._place.file)}:{self._place.line}>"


_made: List[Definition] = []
#: The definitions keep their targets alive, so that an id stays what it is.
_by_target: Dict[int, Definition] = {}


def definition_of(value: Any) -> Optional[Definition]:
    """The definition that a value of the user's code stands for."""
    for _ in range(20):
        if isinstance(value, Definition):
            return value
        found = _by_target.get(id(value))
        if found is not None and found._target is value:
            return found
        # Another decorator above ours.
        value = getattr(value, "__dict__", {}).get("__wrapped__") if callable(value) else None
        if value is None:
            return None
    return None


def definitions() -> List[Definition]:
    return list(_made)


class FeatureStore:
    """Accepted because people write it. Which stores are used is said by the environment of the server."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._place = caller()
        self._given = bool(args or options)
        _stores.append(self)


_stores: List[FeatureStore] = []


def stores() -> List[FeatureStore]:
    return list(_stores)


class Entity(Definition):
    """What features are about."""

    def __init__(self, args: Tuple[Any, ...], options: Mapping[str, Any], target: Any = None, place: Optional[SourceLocation] = None) -> None:
        super().__init__("entity", args, options, target, place)


class EntityDecorator:
    """`@entity(store, keys="SELECT …")` before a class."""

    def __init__(self, options: Mapping[str, Any], place: SourceLocation) -> None:
        self._options = options
        self._place = place

    def __call__(self, cls: C) -> C:
        # Where it was written: not every version tells the decorator's line when it is applied.
        Entity((), self._options, cls, self._place)
        return cls


@overload
def entity(cls: C, /) -> C: ...
@overload
def entity(name: str, /, **options: Unpack[EntityOptions]) -> Entity: ...
@overload
def entity(store: FeatureStore, /, **options: Unpack[EntityOptions]) -> EntityDecorator: ...
@overload
def entity(**options: Unpack[EntityOptions]) -> EntityDecorator: ...
def entity(*args: Any, **options: Any) -> Any:
    """
    `@entity`, `@entity(store)` before a class whose annotated attributes are the key, or `User = entity("User", key="user_id")`.

    Options: key, keys (a query that lists all keys), description, owner, tags.
    """
    rest = tuple(one for one in args if not isinstance(one, FeatureStore))
    if len(rest) == 1 and isinstance(rest[0], type):
        Entity((), options, rest[0])
        return rest[0]
    if rest or "key" in options or "name" in options:
        return Entity(rest, options)
    return EntityDecorator(options, caller())


def _plain(options: Any) -> Mapping[str, Any]:
    """What a type checker knows the names of is a plain dict here."""
    found: Mapping[str, Any] = options
    return found


class Source(Definition):
    """A table that features read."""

    def __init__(self, args: Tuple[Any, ...], options: Mapping[str, Any]) -> None:
        super().__init__("source", args, options)


def source(name: str, /, *args: Any, **options: Unpack[SourceOptions]) -> Source:
    """
    A table that features read: `source("transactions", timestamp="created_at", file="data/transactions.csv")`.

    Options: timestamp, delay, available, until, id, timezone, static, file, format, columns, description, owner, tags.
    """
    return Source((name, *args), _plain(options))


class Column:
    """One column of a feature: `spend["avg_30d"]`."""

    def __init__(self, feature: Definition, column: str) -> None:
        self._feature = feature
        self._column = column

    def __repr__(self) -> str:
        return f"{self._feature.name or '(no name yet)'}.{self._column}"


class Feature(Definition):
    """A feature that is computed by SQL, that is pushed, or that a function with columns computes; before a function, its decorator."""

    def __init__(
        self, args: Tuple[Any, ...], options: Mapping[str, Any], target: Any = None, place: Optional[SourceLocation] = None, pushed: bool = False
    ) -> None:
        super().__init__("feature", args, options, target, place)
        self._pushed = pushed
        #: It stood before functions, which are features of their own.
        self._decorated = 0

    def __getitem__(self, column: str) -> Column:
        return Column(self, column)

    # Absent, an index that is a number would make an endless loop of `for x in feature`.
    __iter__ = None

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        if self._target is not None:
            return self._target(*args, **inputs)
        if len(args) == 1 and not inputs and not self._pushed and _is_function(args[0]):
            self._decorated += 1
            return _computed_by(args[0], self._args, self._options, self._place)
        if len(args) == 1 and isinstance(args[0], type):
            raise TypeError(f"feature(…) stands before functions, not before the class {args[0].__name__}. Classes are for entities.")
        if self._pushed:
            raise TypeError("pushed(…) is assigned to a variable: its values come from elsewhere. Before a function write feature(…).")
        raise TypeError(f"{self!r} is no function. Read it by get(…) while a feature is computed.")


class FeatureDecorator(Feature):
    """`@feature(…)` as type checkers see it: the function stays what it is."""

    if TYPE_CHECKING:

        def __call__(self, fn: F, /) -> F: ...


def _computed_by(fn: Callable[..., Any], args: Tuple[Any, ...], options: Mapping[str, Any], place: Optional[SourceLocation] = None) -> Any:
    made = Feature(args, options, fn, place)
    return made if "columns" in options else fn


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, (type, Definition))


@overload
def feature(fn: F, /) -> F: ...
@overload
def feature(*args: Any, **options: Unpack[SqlOptions]) -> Feature: ...
@overload
def feature(*args: Any, **options: Unpack[ColumnsOptions]) -> Feature: ...
@overload
def feature(*args: Any, **options: Unpack[FunctionOptions]) -> FeatureDecorator: ...
def feature(*args: Any, **options: Any) -> Any:
    """
    `@feature(entity=User, refresh="5m")` before a function, or `spend = feature(entity=User, refresh="5m", sql="SELECT …")`.

    Options: entity, name, refresh, sql, type, columns, default, max_staleness, look_back, history, keep, timeout, keep_warm, inputs,
    uses, batch, nan, replay, version, same_as, description, owner, tags.
    """
    rest = tuple(one for one in args if not isinstance(one, FeatureStore))
    if len(rest) == 1 and _is_function(rest[0]):
        return _computed_by(rest[0], (), options)
    return Feature(args, options)


def pushed(*args: Any, **options: Unpack[PushedOptions]) -> Feature:
    """A feature whose values come from elsewhere: `churn_score = pushed(entity=User, type=float, max_staleness="7d")`."""
    return Feature(args, _plain(options), pushed=True)


class FeatureSet(Definition):
    """Features that are asked for together."""

    def __init__(self, args: Tuple[Any, ...], options: Mapping[str, Any]) -> None:
        super().__init__("feature_set", args, options)


def feature_set(name: str, features: Any = (), /, *args: Any, **options: Unpack[Described]) -> FeatureSet:
    """`fraud_v1 = feature_set("fraud_v1", [transaction_count_1h, spend, "spend.avg_30d"])`."""
    return FeatureSet((name, features, *args), _plain(options))


