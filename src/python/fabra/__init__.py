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
    from .client import AsyncClient as AsyncClient, Client as Client

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


def __getattr__(name: str) -> Any:
    # The client needs httpx, which a worker has no use for.
    if name in ("Client", "AsyncClient"):
        from . import client

        return getattr(client, name)
    raise AttributeError(f"module 'fabra' has no attribute {name!r}")
