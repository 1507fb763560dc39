"""
Personalization: is this visitor here right now, and what kind of visitor is it?

    fabra serve examples/personalization.py
    curl 'http://127.0.0.1:8000/v1/features/active_session?entity_id=u1'
"""
from datetime import datetime, timedelta

from fabra import db, entity, feature, feature_set, get, pushed, source


@entity
class User:
    user_id: str


source("page_views", timestamp="viewed_at", file="data/page_views.parquet")


@feature(entity=User, refresh=timedelta(seconds=0))  # realtime
def active_session(user_id: str) -> bool:
    """Seen in the last half hour."""
    return db.query(
        "SELECT COUNT(*) > 0 FROM page_views "
        "WHERE user_id = %s AND viewed_at > NOW() - INTERVAL '30 minutes'",
        user_id
    )


#: Pages of the last week: how many, how many different ones, and the last of them.
visits = feature(entity=User, refresh="5m", columns={"views_7d": int, "pages_7d": int, "last_seen": datetime}, sql="""
    SELECT COUNT(*) AS views_7d, COUNT(DISTINCT page) AS pages_7d, MAX(viewed_at) AS last_seen FROM page_views
    WHERE user_id = $user_id AND viewed_at > NOW() - INTERVAL '7 days'""")


@feature(entity=User, refresh="1h", default="new")
def user_segment(user_id: str) -> str:
    """new, casual or loyal, by the views of the last week."""
    views = get("visits.views_7d") or 0
    if views > 100:
        return "loyal"
    return "casual" if views > 0 else "new"


#: A score that a nightly job computes elsewhere and pushes here.
churn_score = pushed(entity=User, type=float, max_staleness="7d")

greeting = feature_set("greeting", [active_session, visits, user_segment, churn_score])
