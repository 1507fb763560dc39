"""
Fabra: features as plain functions, served and trained by one engine.

    from fabra import FeatureStore, entity, feature, source, db
"""

from . import _boot  # noqa: F401  (first: it finds the standard library before a project's files can hide it)
from typing import TYPE_CHECKING, Any

from ._call import as_of, db, get, log
from ._definitions import FeatureStore, entity, feature, feature_set, pushed, source
from ._errors import FabraError

if TYPE_CHECKING:
    from .client import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
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


def __getattr__(name: str) -> Any:
    # The client needs httpx, which a worker has no use for.
    if name in ("Client", "AsyncClient"):
        from . import client

        return getattr(client, name)
    raise AttributeError(f"module 'fabra' has no attribute {name!r}")
