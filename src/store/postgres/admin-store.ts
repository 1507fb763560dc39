import type { AdminStore, ApiKey, Scope } from '../ports/admin-store.ts'
import { grantsOf, keptGrants } from '../ports/key-grants.ts'
import type { RunRecord } from '../ports/run-store.ts'
import type { Parameter, Postgres } from './connection/postgres.ts'
import { storeErrors } from './connection/store-errors.ts'
import { microsOf, timeOf } from './history/history-sql.ts'

const WORK_MS = 10_000
/** Runs of a feature that are kept, for a week at most. */
const MAX_RUNS = 1_000
/** How many runs are added between two looks for old ones. */
const FORGET_EVERY = 200

const LIST_KEYS = `
SELECT id, name, hash, array_to_string(scopes, ','), ${microsOf('created_at')}, ${microsOf('revoked_at')}, grants, ${microsOf('expires_at')},
  ${microsOf('last_used_at')}
FROM fabra.api_keys
ORDER BY created_at, id`

const ADD_KEY = `
INSERT INTO fabra.api_keys (id, name, hash, scopes, created_at, revoked_at, grants, expires_at)
VALUES ($1, $2, $3, $4::text[], ${timeOf('$5::bigint')}, ${timeOf('$6::bigint')}, $7, ${timeOf('$8::bigint')})`

const REVOKE_KEY = `UPDATE fabra.api_keys SET revoked_at = COALESCE(revoked_at, ${timeOf('$2::bigint')}) WHERE id = $1`

const EXPIRE_KEY = `UPDATE fabra.api_keys SET expires_at = LEAST(expires_at, ${timeOf('$2::bigint')}) WHERE id = $1`
const USE_KEYS = `UPDATE fabra.api_keys SET last_used_at = GREATEST(last_used_at, ${timeOf('$2::bigint')}) WHERE id = ANY($1::text[])`

const ADD_RUNS = `
INSERT INTO fabra.runs (id, feature, reason, started_at, finished_at, keys, changed, failed, error)
SELECT id, feature, reason, ${timeOf('started_us')}, ${timeOf('finished_us')}, keys, changed, failed, error
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
  AS r(id, feature, reason, started_us, finished_us, keys, changed, failed, error)
ON CONFLICT (id) DO NOTHING`

const FORGET_RUNS = `
DELETE FROM fabra.runs AS old
WHERE old.started_at < clock_timestamp() - interval '7 days' OR old.id IN (
  SELECT ranked.id
  FROM unnest($1::text[]) AS f(feature)
  CROSS JOIN LATERAL (
    SELECT r.id FROM fabra.runs AS r WHERE r.feature = f.feature ORDER BY r.started_at DESC, r.id DESC OFFSET ${MAX_RUNS}
  ) AS ranked
)`

const LIST_RUNS = (where: string) => `
SELECT id, feature, reason, ${microsOf('started_at')}, ${microsOf('finished_at')}, keys, changed, failed, error
FROM fabra.runs
${where}
ORDER BY started_at DESC, id DESC
LIMIT $1::bigint`

/** Keys and runs in PostgreSQL, the same for every process. Does not close the connections. */
export function createPostgresAdminStore(postgres: Postgres): AdminStore {
  const run = (text: string, parameters: readonly Parameter[], readOnly: boolean) =>
    storeErrors(() => postgres.run(text, parameters, { timeoutMs: WORK_MS, readOnly }))
  const added = new Set<string>()
  let count = 0

  return {
    async apiKeys() {
      return (await run(LIST_KEYS, [], true)).rows.map(toApiKey)
    },
    async addApiKey(key) {
      const { scopes, grants } = keptGrants(key)
      await run(ADD_KEY, [key.id, key.name, key.hash, scopes, key.createdAt, key.revokedAt, grants, key.expiresAt], false)
    },
    async revokeApiKey(id, at) {
      return (await run(REVOKE_KEY, [id, at], false)).count > 0
    },
    async expireApiKey(id, at) {
      return (await run(EXPIRE_KEY, [id, at], false)).count > 0
    },
    async useApiKeys(ids, at) {
      await run(USE_KEYS, [ids, at], false)
    },
    async addRuns(runs) {
      if (runs.length === 0) return
      await run(ADD_RUNS, asArrays(runs), false)
      for (const { feature } of runs) added.add(feature)
      count += runs.length
      if (count < FORGET_EVERY) return
      const features = [...added]
      added.clear()
      count = 0
      await run(FORGET_RUNS, [features], false)
    },
    async runs({ feature, limit }) {
      const { rows } =
        feature === undefined ? await run(LIST_RUNS(''), [limit], true) : await run(LIST_RUNS('WHERE feature = $2'), [limit, feature], true)
      return rows.map(toRun)
    },
  }
}

function asArrays(runs: readonly RunRecord[]): Parameter[] {
  return [
    runs.map((run) => run.id),
    runs.map((run) => run.feature),
    runs.map((run) => run.reason),
    runs.map((run) => run.startedAt),
    runs.map((run) => run.finishedAt),
    runs.map((run) => run.keys),
    runs.map((run) => run.changed),
    runs.map((run) => run.failed),
    // An error's words may hold what no text of PostgreSQL can.
    runs.map((run) => run.error?.replaceAll('\0', '') ?? null),
  ]
}

type Row = readonly (string | null)[]

function toApiKey([id, name, hash, scopes, createdAt, revokedAt, grants = null, expiresAt, lastUsedAt]: Row): ApiKey {
  const known = (scopes ?? '').split(',').filter((scope) => scope !== '') as Scope[]
  return {
    id: String(id),
    name: String(name),
    hash: String(hash),
    ...grantsOf(known, grants),
    createdAt: Number(createdAt),
    expiresAt: micros(expiresAt),
    revokedAt: micros(revokedAt),
    lastUsedAt: micros(lastUsedAt),
  }
}

function micros(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text)
}

function toRun([id, feature, reason, startedAt, finishedAt, keys, changed, failed, error = null]: Row): RunRecord {
  return {
    id: String(id),
    feature: String(feature),
    reason: String(reason),
    startedAt: Number(startedAt),
    finishedAt: Number(finishedAt),
    keys: Number(keys),
    changed: Number(changed),
    failed: Number(failed),
    error,
  }
}
