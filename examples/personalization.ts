/**
 * Personalization: is this visitor here right now, and what kind of visitor is it?
 *
 *     fabra serve examples/personalization.ts
 *     curl 'http://127.0.0.1:8000/v1/features/active_session?entity_id=u1'
 */
import { entity, feature, featureSet, source } from "fabra";

export const User = entity("User", { key: "user_id" });

export const page_views = source("page_views", { timestamp: "viewed_at", file: "./data/page_views.parquet" });

/** Seen in the last half hour. */
export const active_session = feature({
  entity: User,
  refresh: 0,
  type: "bool",
  sql: `SELECT COUNT(*) > 0 FROM page_views
        WHERE user_id = $user_id AND viewed_at > NOW() - INTERVAL '30 minutes'`,
});

/** Pages of the last week: how many, how many different ones, and the last of them. */
export const visits = feature({
  entity: User,
  refresh: "5m",
  columns: { views_7d: "int", pages_7d: "int", last_seen: "timestamp" },
  sql: `SELECT COUNT(*) AS views_7d, COUNT(DISTINCT page) AS pages_7d, MAX(viewed_at) AS last_seen FROM page_views
        WHERE user_id = $user_id AND viewed_at > NOW() - INTERVAL '7 days'`,
});

/** new, casual or loyal, by the views of the last week. */
export const user_segment = feature(
  { entity: User, refresh: "1h", type: "string", default: "new" },
  async (userId, { get }) => {
    const views = (await get<number>("visits.views_7d")) ?? 0;
    if (views > 100) return "loyal";
    return views > 0 ? "casual" : "new";
  },
);

/** A score that a nightly job computes elsewhere and pushes here. */
export const churn_score = feature({ entity: User, type: "float", max_staleness: "7d" });

export const greeting = featureSet("greeting", [active_session, visits, user_segment, churn_score]);
