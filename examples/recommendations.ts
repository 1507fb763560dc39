/**
 * Recommendations: what does this shopper care about?
 *
 *     fabra serve examples/recommendations.ts
 *     curl 'http://127.0.0.1:8000/v1/features/recent_categories?entity_id=u1'
 */
import { entity, feature, featureSet, source } from "fabra";

export const User = entity("User", { key: "user_id" });

export const purchases = source("purchases", { timestamp: "seen_at", file: "./data/purchases.jsonl" });

/** The last five categories looked at or bought, newest first. */
export const recent_categories = feature({
  entity: User,
  refresh: "1m",
  type: "list",
  sql: `SELECT COALESCE(ARRAY_AGG(category ORDER BY seen DESC, category), ARRAY[]::TEXT[]) FROM (
          SELECT category, MAX(seen_at) AS seen FROM purchases
          WHERE user_id = $user_id AND seen_at > NOW() - INTERVAL '30 days'
          GROUP BY category ORDER BY seen DESC, category LIMIT 5) AS latest`,
});

/** Share of the money spent in the last 90 days by category: { books: 0.25, shoes: 0.75 }. */
export const purchase_affinity = feature(
  { entity: User, refresh: "1h", type: "dict", default: {} },
  async (userId, { db }) => {
    const rows = await db.query(
      `SELECT category, SUM(price) AS spent FROM purchases
       WHERE user_id = $1 AND action = 'buy' AND seen_at > NOW() - INTERVAL '90 days'
       GROUP BY category ORDER BY category`,
      userId,
    );
    const total = rows.reduce((sum, row) => sum + Number(row.spent), 0);
    return Object.fromEntries(rows.map((row) => [String(row.category), Number(row.spent) / total]));
  },
);

/** The category to show first. */
export const top_category = feature(
  { entity: User, refresh: "1h", type: "string", default: "bestsellers" },
  async (userId, { get }) => {
    const affinity = (await get<Record<string, number>>("purchase_affinity")) ?? {};
    const [best] = Object.entries(affinity).sort(([, a], [, b]) => b - a);
    return best?.[0] ?? "bestsellers";
  },
);

export const home_page = featureSet("home_page", [recent_categories, purchase_affinity, top_category]);
