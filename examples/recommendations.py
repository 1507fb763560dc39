"""
Recommendations: what does this shopper care about?

    fabra serve examples/recommendations.py
    curl 'http://127.0.0.1:8000/v1/features/recent_categories?entity_id=u1'
"""
from fabra import db, entity, feature, feature_set, get, source


@entity
class User:
    user_id: str


source("purchases", timestamp="seen_at", file="data/purchases.jsonl")


#: The last five categories looked at or bought, newest first.
recent_categories = feature(entity=User, refresh="1m", type=list, sql="""
    SELECT COALESCE(ARRAY_AGG(category ORDER BY seen DESC, category), ARRAY[]::TEXT[]) FROM (
      SELECT category, MAX(seen_at) AS seen FROM purchases
      WHERE user_id = $user_id AND seen_at > NOW() - INTERVAL '30 days'
      GROUP BY category ORDER BY seen DESC, category LIMIT 5) AS latest""")


@feature(entity=User, refresh="1h", default={})
def purchase_affinity(user_id: str) -> dict:
    """Share of the money spent in the last 90 days by category: { books: 0.25, shoes: 0.75 }."""
    rows = db.fetch(
        "SELECT category, SUM(price) AS spent FROM purchases "
        "WHERE user_id = %s AND action = 'buy' AND seen_at > NOW() - INTERVAL '90 days' "
        "GROUP BY category ORDER BY category",
        user_id
    )
    total = sum(float(row["spent"]) for row in rows)
    return {row["category"]: float(row["spent"]) / total for row in rows}


@feature(entity=User, refresh="1h", default="bestsellers")
def top_category(user_id: str) -> str:
    """The category to show first."""
    affinity: dict[str, float] = get(purchase_affinity) or {}
    return max(affinity, key=lambda category: affinity[category], default="bestsellers")


home_page = feature_set("home_page", [recent_categories, purchase_affinity, top_category])
