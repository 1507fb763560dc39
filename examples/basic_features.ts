import { entity, feature, featureSet, source } from "fabra";

export const User = entity("User", { key: "user_id" });

// A table that features read. `timestamp` says when a row came to be: it makes every SQL feature over it
// point-in-time correct. `file` (CSV, Parquet, JSON lines; laptop mode) is loaded as a table of that name.
export const transactions = source("transactions", { timestamp: "created_at", file: "./data/transactions.csv" });

/** Number of transactions in the last hour. */
export const transaction_count_1h = feature({
  entity: User,
  refresh: "5m",
  type: "int",
  sql: `SELECT COUNT(*) FROM transactions
        WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'`,
});

/** Several columns from one query are several features: spend.total_30d, spend.avg_30d. */
export const spend = feature({
  entity: User,
  refresh: { minutes: 5 },
  columns: { total_30d: "float", avg_30d: "float" },
  sql: `SELECT COALESCE(SUM(amount), 0) AS total_30d, AVG(amount) AS avg_30d FROM transactions
        WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '30 days'`,
});

/** A plain function. Sync or async. Realtime: computed in the request. */
export const user_velocity_1h = feature({ entity: User, refresh: 0, type: "int" },
  async (userId, { db }) => db.fetchval(
    "SELECT COUNT(*) FROM transactions WHERE user_id = $1 AND created_at > NOW() - INTERVAL '1 hour'", userId));

/** Features built on features, and on inputs that only the request knows. */
export const amount_vs_usual = feature({ entity: User, refresh: 0, type: "float", inputs: { amount: "float" } },
  async (userId, { get, inputs }) => inputs.amount / Math.max(1, (await get<number>("spend.avg_30d")) ?? 0));

export const user_segment = feature({ entity: User, refresh: "1d", type: "string", default: "regular" },
  async (userId, { get }) => (((await get(transaction_count_1h)) ?? 0) > 10 ? "power" : "regular"));

/** Pushed from outside (a batch score, say): no query, no function. */
export const churn_score = feature({ entity: User, type: "float", max_staleness: "7d" });

export const fraud_v1 = featureSet("fraud_v1", [transaction_count_1h, spend, user_velocity_1h]);
