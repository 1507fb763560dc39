from datetime import timedelta

from fabra import FeatureStore, db, entity, feature, feature_set, get, pushed, source

store = FeatureStore()


@entity(store)
class User:
    user_id: str


# A table that features read. `timestamp` says when a row came to be: it makes every SQL feature over it
# point-in-time correct. `file` (CSV, Parquet, JSON lines; laptop mode) is loaded as a table of that name.
source("transactions", timestamp="created_at", file="data/transactions.csv")


@feature(entity=User, refresh=timedelta(minutes=5))
def transaction_count_1h(user_id: str) -> int:
    return db.query(
        "SELECT COUNT(*) FROM transactions "
        "WHERE user_id = %s AND created_at > NOW() - INTERVAL '1 hour'",
        user_id
    )


#: Several columns from one query are several features: spend.total_30d, spend.avg_30d.
spend = feature(entity=User, refresh=timedelta(minutes=5), columns={"total_30d": float, "avg_30d": float}, sql="""
    SELECT COALESCE(SUM(amount), 0) AS total_30d, AVG(amount) AS avg_30d FROM transactions
    WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '30 days'""")


@feature(entity=User, refresh=timedelta(seconds=0))  # realtime
async def user_velocity_1h(user_id: str) -> int:
    """Number of transactions in last hour."""
    return await db.fetchval(
        "SELECT COUNT(*) FROM transactions "
        "WHERE user_id = $1 AND created_at > NOW() - INTERVAL '1 hour'",
        user_id
    )


@feature(entity=User, refresh=0, inputs={"amount": float})
def amount_vs_usual(user_id: str, amount: float) -> float:
    """Features built on features, and on inputs that only the request knows."""
    return amount / max(1, get(spend["avg_30d"]) or 0)


@feature(entity=User, refresh="1d", default="regular")
def user_segment(user_id: str) -> str:
    return "power" if (get(transaction_count_1h) or 0) > 10 else "regular"


#: Pushed from outside (a batch score, say): no query, no function.
churn_score = pushed(entity=User, type=float, max_staleness="7d")

fraud_v1 = feature_set("fraud_v1", [transaction_count_1h, spend, user_velocity_1h])
