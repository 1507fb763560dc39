"""The client of programs with an event loop (asyncio or trio): the same calls as Client."""

from datetime import datetime
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Type, Union

import httpx

from . import _operations as ops
from ._operations import Names
from ._results import Features, FeatureValue, TrainingSet, WriteReceipt
from ._rows import Rows
from ._settings import TRAINING_TIMEOUT, WRITE_TIMEOUT, Key, Settings
from ._transport import AsyncTransport


class AsyncClient:
    """The same calls as Client has, to be awaited.

    `url` and `api_key` are FABRA_URL and FABRA_API_KEY where they are not given. `timeout` is the time of a whole
    call in seconds, tries and all; each call may be given another. Reads are sent again (`retries` times) where the server
    does not answer or says that it is busy; what changes something never is. `http` is an AsyncClient of httpx to use instead of one of its own: it stays open.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        api_key: Optional[str] = None,
        timeout: float = 10.0,
        retries: int = 3,
        http: Optional[httpx.AsyncClient] = None,
    ) -> None:
        self._settings = Settings(url, api_key, timeout, retries)
        self._transport = AsyncTransport(self._settings, http)

    async def aclose(self) -> None:
        """Closes its connections. It is closed also at the end of `async with`."""
        await self._transport.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({self._settings.url!r})"

    async def feature(
        self,
        name: str,
        key: Key,
        *,
        inputs: Optional[Mapping[str, Any]] = None,
        max_age: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> FeatureValue[Any]:
        """One feature of one entity key, with its status and age.

        `key` is the key itself, or a dict of the key columns; `inputs` are what only the request knows. `max_age` ("30s") asks for nothing
        older. Raises the feature's error where it failed and nothing could stand in.
        """
        return await self._transport.run(ops.feature(name, key, inputs, max_age), f"{name}", timeout)

    async def features(
        self,
        features: Names = None,
        rows: Rows = (),
        *,
        feature_set: Optional[str] = None,
        max_age: Optional[str] = None,
        arrow: Optional[bool] = None,
        timeout: Optional[float] = None,
    ) -> Features:
        """Many features of many entity keys: one result a row, in the order of the rows.

        `rows` are dicts of key columns and inputs, keys alone, or a DataFrame of pandas, polars or Arrow. A feature that fails does not fail
        its neighbours: see `errors` of the result. `arrow` asks the server for a table of Arrow; by default for many rows, where pyarrow is
        loaded.
        """
        return await self._transport.run(ops.features(features, rows, feature_set, max_age, arrow), "features", timeout)

    async def training_set(
        self,
        labels: Any,
        features: Names,
        *,
        timestamp: Optional[str] = None,
        timezone: Optional[str] = None,
        method: Optional[str] = None,
        snapshot: Union[datetime, str, None] = None,
        as_served: bool = False,
        latest_knowledge: bool = False,
        deterministic: bool = False,
        with_status: bool = False,
        with_event_timestamp: bool = False,
        fresh: bool = False,
        progress: Optional[bool] = None,
        timeout: Optional[float] = TRAINING_TIMEOUT,
    ) -> TrainingSet:
        """Label rows with features as of each row's own time.

        `labels` are a DataFrame of pandas or polars, a table of Arrow, a list of dicts, the path of a file (Parquet, Arrow, CSV, JSON lines),
        or a query over the sources ("SELECT …", which needs a key with the scope `train`). `features` names features, columns of features and
        feature sets.
        """
        return await self._transport.run(
            ops.training_set(
                labels,
                features,
                {
                    "timestamp": timestamp,
                    "timezone": timezone,
                    "method": method,
                    "snapshot": snapshot,
                    "as_served": as_served,
                    "latest_knowledge": latest_knowledge,
                    "deterministic": deterministic,
                    "with_status": with_status,
                    "with_event_timestamp": with_event_timestamp,
                    "fresh": fresh,
                },
                progress,
            ),
            "the training set",
            timeout,
        )

    async def push(
        self,
        feature: str,
        rows: Rows,
        *,
        progress: Optional[bool] = None,
        timeout: Optional[float] = WRITE_TIMEOUT,
    ) -> WriteReceipt:
        """Push values of a feature; returns when they are durable.

        Rows hold the key columns, `value` (or a column called as the feature, or its columns) and `event_timestamp`, by default now;
        `"delete": True` says that nothing is known any more. Sent in lots; never sent again by itself, though sending the same rows again
        is safe.
        """
        return await self._transport.run(ops.push(feature, rows, progress), f"push {feature}", timeout)

    async def append(
        self,
        source: str,
        rows: Rows,
        *,
        idempotency_key: Optional[str] = None,
        progress: Optional[bool] = None,
        timeout: Optional[float] = WRITE_TIMEOUT,
    ) -> WriteReceipt:
        """Append events to a source; returns when they are durable. Features that read the source follow within a second.

        Repeats are dropped by the source's `id`, or with the same `idempotency_key` (of a day) for the same rows.
        """
        return await self._transport.run(ops.append(source, rows, idempotency_key, progress), f"append {source}", timeout)

    async def forget(self, entity: str, key: Key, *, timeout: Optional[float] = WRITE_TIMEOUT) -> Dict[str, Any]:
        """Forget one entity key: its stored values and history. Rows of sources stay; the answer names the sources."""
        return await self._transport.run(ops.forget(entity, key), f"forget {entity}", timeout)

    async def catalogue(self, *, timeout: Optional[float] = None) -> Dict[str, Any]:
        """What is defined: `features`, `entities`, `sources` and `feature_sets`, as lists of dicts."""
        return await self._transport.run(ops.catalogue(), "the catalogue", timeout)
