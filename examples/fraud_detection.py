"""
Fraud detection: is this card payment like the others of its owner?

    fabra serve examples/fraud_detection.py
    curl 'http://127.0.0.1:8000/v1/features/user_velocity_1h?entity_id=u1'
    curl 'http://127.0.0.1:8000/v1/features/amount_ratio?entity_id=u1&amount=900'
    curl -X POST http://127.0.0.1:8000/v1/sources/transactions/rows \
      -d "{\"rows\":[{\"id\":900001,\"user_id\":\"u1\",\"amount\":900,\"created_at\":\"$(date -u +%FT%TZ)\"}]}"
"""
from datetime import timedelta

from fabra import db, entity, feature, feature_set, get, source


@entity
class User:
    user_id: str


@entity
class Merchant:
    merchant_id: str


source("transactions", timestamp="created_at", id="id", file="data/transactions.csv")


@feature(entity=User, refresh=timedelta(seconds=0))  # realtime
async def user_velocity_1h(user_id: str) -> int:
    """Payments in the last hour. Fraud moves fast, so this is counted in the request."""
    return await db.fetchval(
        "SELECT COUNT(*) FROM transactions "
        "WHERE user_id = $1 AND created_at > NOW() - INTERVAL '1 hour'",
        user_id
    )


#: The same count, kept: read in no time, refreshed every five minutes, and at once when a payment is posted.
transaction_count_1h = feature(entity=User, refresh="5m", type=int, sql="""
    SELECT COUNT(*) FROM transactions
    WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'""")


#: What the user usually pays. Changes slowly, so a value up to an hour old will do.
avg_transaction_amount = feature(entity=User, refresh="1h", max_staleness="1d", type=float, default=0, sql="""
    SELECT AVG(amount) FROM transactions
    WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '30 days'
    HAVING COUNT(*) > 0""")

#: Different merchants in the last day: a stolen card is tried in many places.
distinct_merchants_24h = feature(entity=User, refresh="5m", type=int, sql="""
    SELECT COUNT(DISTINCT merchant_id) FROM transactions
    WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '24 hours'""")

#: Payments at a merchant in the last day, and the largest of them.
merchant_day = feature(entity=Merchant, refresh="15m", columns={"payments": int, "largest": float}, sql="""
    SELECT COUNT(*) AS payments, MAX(amount) AS largest FROM transactions
    WHERE merchant_id = $merchant_id AND created_at > NOW() - INTERVAL '24 hours'""")


@feature(entity=User, refresh=0, inputs={"amount": float})
async def amount_ratio(user_id: str, amount: float) -> float:
    """The amount being paid right now, as a multiple of what is usual. Only the request knows the amount."""
    return amount / max(1, await get(avg_transaction_amount) or 0)


fraud_v1 = feature_set("fraud_v1", [user_velocity_1h, avg_transaction_amount, distinct_merchants_24h])
