"""How programs use the client, as a type checker sees it. Not run."""

from typing import Dict, List, Optional
from datetime import datetime, timedelta

from fabra.client import AsyncClient, Client, Overloaded, UnknownFeature


def uses() -> None:
    with Client("http://localhost:8000", api_key="…", timeout=5) as client:
        status: str = client.feature("transaction_count_1h", "u1").status
        age: Optional[timedelta] = client.feature("transaction_count_1h", {"user_id": 1}).age
        rows = client.features(["transaction_count_1h", "spend"], [{"user_id": "u1"}, {"user_id": "u2"}])
        statuses: List[Dict[str, str]] = rows.statuses
        client.features(feature_set="fraud_v1", rows=["u1", "u2"])
        accepted: int = client.push("churn_score", [{"user_id": "u1", "value": 0.1}]).accepted
        client.training_set("SELECT 1", "fraud_v1", snapshot=datetime.now()).save("x.arrow")
        try:
            client.catalogue(timeout=1)
        except Overloaded as error:
            after: Optional[float] = error.retry_after
        except UnknownFeature as error:
            hint: Optional[str] = error.hint
        client.feature(7, "u1")  # type: ignore[arg-type]
        client.features(["a"], rows=["u1"], max_age=5)  # type: ignore[arg-type]
        client.forget("User", None)  # type: ignore[arg-type]


async def awaits(client: AsyncClient) -> int:
    client.feature("a", "u1").status  # type: ignore[attr-defined]
    return (await client.append("events", [{"user_id": "u1"}])).accepted
