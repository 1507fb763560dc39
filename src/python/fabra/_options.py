"""The options by name and type, for editors and type checkers. The server checks them all the same, and says "did you mean"."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal, Mapping, Sequence, TypedDict, Union

Duration = Union[datetime.timedelta, str, int, float]
#: `float`, `list[str]`, `"float"`.
Type = Any


class Described(TypedDict, total=False):
    description: str
    owner: str
    tags: Sequence[str]


class EntityOptions(Described, total=False):
    key: Union[str, Sequence[str], Mapping[str, Type]]
    #: A query that lists all keys, for refreshes.
    keys: str


class SourceOptions(Described, total=False):
    timestamp: str
    delay: Duration
    available: str
    until: str
    id: str
    timezone: str
    static: bool
    file: Union[str, Sequence[str]]
    format: Union[str, Mapping[str, str]]
    columns: Mapping[str, str]


class _ForAll(Described, total=False):
    entity: Any
    store: Any
    name: str
    default: Any
    max_staleness: Duration
    look_back: Duration
    history: Literal["auto", "changes", "all", "off"]
    keep: Duration
    version: str
    same_as: str


class _ForComputed(_ForAll, total=False):
    refresh: Duration
    timeout: Duration
    keep_warm: Duration
    uses: Sequence[Any]


class PushedOptions(_ForAll, total=False):
    type: Type
    columns: Mapping[str, Type]


class FunctionOptions(_ForComputed, total=False):
    type: Type
    inputs: Mapping[str, Type]
    #: One call for many keys: True, or how many at most.
    batch: Union[bool, int]
    #: "null" makes NaN null; without it NaN is an error.
    nan: str
    replay: bool


if TYPE_CHECKING:
    from typing_extensions import Required

    class ColumnsOptions(FunctionOptions, total=False):
        columns: Required[Mapping[str, Type]]

    class SqlOptions(_ForComputed, total=False):
        sql: Required[Union[str, Mapping[str, str]]]
        type: Type
        columns: Mapping[str, Type]
