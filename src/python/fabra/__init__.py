"""
Fabra: features as plain functions, served and trained by one engine.

    from fabra import FeatureStore, entity, feature, source, db
"""

import os

if os.environ.get("FABRA_WORKER"):
    # Before anything else: a project's files must not hide the standard library from us.
    from ._boot import take_over

    take_over()

from typing import TYPE_CHECKING, Any

from ._api import as_of, db, get, log
from ._definitions import FeatureStore, entity, feature, feature_set, pushed, source
from ._errors import FabraError

if TYPE_CHECKING:
    from .client import (
        AsyncClient as AsyncClient,
        BadRequest as BadRequest,
        BodyTooLarge as BodyTooLarge,
        BodyTooSlow as BodyTooSlow,
        Client as Client,
        ClientError as ClientError,
        ColumnConflict as ColumnConflict,
        DeadlineExceeded as DeadlineExceeded,
        FeatureFailed as FeatureFailed,
        FeatureTable as FeatureTable,
        FeatureTimeout as FeatureTimeout,
        FeatureValue as FeatureValue,
        Features as Features,
        Forbidden as Forbidden,
        HistoryRemoved as HistoryRemoved,
        Internal as Internal,
        InvalidBody as InvalidBody,
        InvalidInput as InvalidInput,
        InvalidKey as InvalidKey,
        InvalidLabels as InvalidLabels,
        InvalidTime as InvalidTime,
        InvalidValue as InvalidValue,
        MethodNotAllowed as MethodNotAllowed,
        MissingPackage as MissingPackage,
        NotAppendable as NotAppendable,
        NotFound as NotFound,
        NotOneRow as NotOneRow,
        NotRefreshable as NotRefreshable,
        NotTrainable as NotTrainable,
        OutcomeUnknown as OutcomeUnknown,
        Overloaded as Overloaded,
        SchemaMismatch as SchemaMismatch,
        ServerUnreachable as ServerUnreachable,
        SourceLoading as SourceLoading,
        StoreUnavailable as StoreUnavailable,
        TooManyRequests as TooManyRequests,
        TrainingSet as TrainingSet,
        Unauthorized as Unauthorized,
        UnknownEntity as UnknownEntity,
        UnknownFeature as UnknownFeature,
        UnknownFeatureSet as UnknownFeatureSet,
        UnknownSource as UnknownSource,
        UnsupportedType as UnsupportedType,
        ValueTooLarge as ValueTooLarge,
        WriteReceipt as WriteReceipt,
        WrongType as WrongType,
    )

# Not the client: "from fabra import *" in a features file must not look for httpx.
__all__ = [
    "FabraError",
    "FeatureStore",
    "as_of",
    "db",
    "entity",
    "feature",
    "feature_set",
    "get",
    "log",
    "pushed",
    "source",
]


#: What comes from the client, which needs httpx: most files have no use for it.
_CLIENT = frozenset(
    (
        "AsyncClient",
        "BadRequest",
        "BodyTooLarge",
        "BodyTooSlow",
        "Client",
        "ClientError",
        "ColumnConflict",
        "DeadlineExceeded",
        "FeatureFailed",
        "FeatureTable",
        "FeatureTimeout",
        "FeatureValue",
        "Features",
        "Forbidden",
        "HistoryRemoved",
        "Internal",
        "InvalidBody",
        "InvalidInput",
        "InvalidKey",
        "InvalidLabels",
        "InvalidTime",
        "InvalidValue",
        "MethodNotAllowed",
        "MissingPackage",
        "NotAppendable",
        "NotFound",
        "NotOneRow",
        "NotRefreshable",
        "NotTrainable",
        "OutcomeUnknown",
        "Overloaded",
        "SchemaMismatch",
        "ServerUnreachable",
        "SourceLoading",
        "StoreUnavailable",
        "TooManyRequests",
        "TrainingSet",
        "Unauthorized",
        "UnknownEntity",
        "UnknownFeature",
        "UnknownFeatureSet",
        "UnknownSource",
        "UnsupportedType",
        "ValueTooLarge",
        "WriteReceipt",
        "WrongType",
    )
)


def __getattr__(name: str) -> Any:
    if name not in _CLIENT:
        raise AttributeError(f"module 'fabra' has no attribute {name!r}")
    from . import client

    return getattr(client, name)
