"""Programs over the module that "fabra types --python" writes for client_features.ts.txt. Looked at by type checkers, not run."""

from datetime import datetime
from typing import Dict, List, Optional

from fabra_types import AsyncClient, Client

fabra = Client()
count: Optional[int] = fabra.feature("i", "u1").value
times: Optional[List[Optional[datetime]]] = fabra.feature("times", {"user_id": "u1"}).value
weights: Optional[Dict[str, Optional[float]]] = fabra.feature("weights", "u1").value
both = fabra.feature("both", "u1").value
tags: Optional[List[Optional[str]]] = both["tags"] if both else None
grown: Optional[float] = fabra.feature("grown", "u1", inputs={"amount": 1.5}).value
fabra.features(["i", "both.n", "odd"], ["u1"]).to_dicts()
fabra.features(feature_set="odd", rows=["u1"])
fabra.training_set("labels.parquet", "odd", timestamp="at")
fabra.push("i", [{"user_id": "u1", "value": 1}])
fabra.forget("Pair", {"user_id": 1, "merchant_id": "m"})

fabra.feature("ii", "u1")  # type: ignore[call-overload]
fabra.feature("both.m", "u1")  # type: ignore[call-overload]
fabra.feature("score", "u1")  # type: ignore[call-overload]
fabra.feature("grown", "u1")  # type: ignore[call-overload]
fabra.feature("grown", "u1", inputs={"amont": 1})  # type: ignore[call-overload]
fabra.features(["i", "nope"], ["u1"])  # type: ignore[list-item]
fabra.features(feature_set="i", rows=["u1"])  # type: ignore[arg-type]
fabra.append("event", [])  # type: ignore[arg-type]
text: Optional[str] = fabra.feature("i", "u1").value  # type: ignore[assignment]


async def awaits(client: AsyncClient) -> Optional[int]:
    await client.feature("ii", "u1")  # type: ignore[call-overload]
    return (await client.feature("i", "u1")).value
