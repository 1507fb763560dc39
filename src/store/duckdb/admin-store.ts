import { FabraError } from '../../errors.ts'
import type { AdminStore, ApiKey, Scope } from '../ports/admin-store.ts'
import { grantsOf, keptGrants } from '../ports/key-grants.ts'
import type { RunRecord } from '../ports/run-store.ts'
import { SqlTimestamp, type SqlValue } from '../ports/source-engine.ts'
import { type Database, ownDeadline } from './connection/database.ts'
import { inTransaction } from './connection/transaction.ts'

/** Runs of a feature that are kept, for a week at most. */
const MAX_RUNS = 1_000
/** How many runs are added between two looks for old ones. */
const FORGET_EVERY = 200

const LIST_KEYS = `
SELECT id, name, hash, scopes, created_at, revoked_at, grants, expires_at, last_used_at
FROM fabra.api_keys
ORDER BY created_at, id`

const ADD_KEY = `
INSERT INTO fabra.api_keys (id, name, hash, scopes, created_at, revoked_at, grants, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
const EXPIRE_KEY = 'UPDATE fabra.api_keys SET expires_at = LEAST(expires_at, $2::TIMESTAMPTZ) WHERE id = $1'
const USE_KEY = 'UPDATE fabra.api_keys SET last_used_at = GREATEST(last_used_at, $2::TIMESTAMPTZ) WHERE id = $1'
const REVOKE_KEY = 'UPDATE fabra.api_keys SET revoked_at = COALESCE(revoked_at, $2::TIMESTAMPTZ) WHERE id = $1'
/** $1: JSON. One statement for all of them: a statement each takes milliseconds. */
const ADD_RUNS = `
INSERT INTO fabra.runs (id, feature, reason, started_at, finished_at, keys, changed, failed, error)
SELECT r.id, r.feature, r.reason, make_timestamptz(r.started_us), make_timestamptz(r.finished_us), r.keys, r.changed, r.failed, r.error
FROM (SELECT UNNEST(from_json(CAST($1 AS VARCHAR), '[{"id":"VARCHAR","feature":"VARCHAR","reason":"VARCHAR","started_us":"BIGINT",
  "finished_us":"BIGINT","keys":"BIGINT","changed":"BIGINT","failed":"BIGINT","error":"VARCHAR"}]'), recursive := true)) AS r
WHERE r.id NOT IN (SELECT id FROM fabra.runs)`

const FORGET_RUNS = `
DELETE FROM fabra.runs
WHERE started_at < now() - INTERVAL '7 days'
  OR id IN (SELECT id FROM fabra.runs QUALIFY row_number() OVER (PARTITION BY feature ORDER BY started_at DESC, id DESC) > ${MAX_RUNS})`

const LIST_RUNS = `
SELECT id, feature, reason, started_at, finished_at, keys, changed, failed, error
FROM fabra.runs
WHERE $1::VARCHAR IS NULL OR feature = $1
ORDER BY started_at DESC, id DESC
LIMIT $2`

/** Keys and runs in the laptop's one file. Does not close it. */
export function createDuckdbAdminStore(database: Database): AdminStore {
  let count = 0
  const read = async (text: string, parameters: readonly SqlValue[]) => {
    const { rows } = await reported(() => database.readers.use(ownDeadline(), (session, left) => session.read(text, parameters, left)))
    return rows
  }
  /** On one session, so that no two of them want to change the same row. */
  const write = async (statements: readonly (readonly [text: string, parameters: readonly SqlValue[]])[]) =>
    reported(() =>
      database.history.use(ownDeadline(), async (session, left) => {
        let changed = 0
        await inTransaction(session, async () => {
          for (const [text, parameters] of statements) changed += Number((await session.read(text, parameters, left)).rows[0]?.[0] ?? 0)
        })
        return changed
      }),
    )

  return {
    async apiKeys() {
      return (await read(LIST_KEYS, [])).map(toApiKey)
    },
    async addApiKey(key) {
      const { scopes, grants } = keptGrants(key)
      const times = [timestamp(key.createdAt), timestamp(key.revokedAt)]
      await write([[ADD_KEY, [key.id, key.name, key.hash, scopes.join(','), ...times, grants, timestamp(key.expiresAt)]]])
    },
    async revokeApiKey(id, at) {
      return (await write([[REVOKE_KEY, [id, new SqlTimestamp(at)]]])) > 0
    },
    async expireApiKey(id, at) {
      return (await write([[EXPIRE_KEY, [id, new SqlTimestamp(at)]]])) > 0
    },
    async useApiKeys(ids, at) {
      await write(ids.map((id) => [USE_KEY, [id, new SqlTimestamp(at)]] as const))
    },
    async addRuns(runs) {
      if (runs.length === 0) return
      count += runs.length
      const forget = count >= FORGET_EVERY ? [[FORGET_RUNS, []] as const] : []
      if (forget.length > 0) count = 0
      await write([[ADD_RUNS, [asJson(runs)]], ...forget])
    },
    async runs({ feature, limit }) {
      return (await read(LIST_RUNS, [feature ?? null, limit])).map(toRun)
    },
  }
}

function asJson(runs: readonly RunRecord[]): string {
  return JSON.stringify(
    runs.map(({ startedAt, finishedAt, error, ...rest }) => ({
      ...rest,
      started_us: startedAt,
      finished_us: finishedAt,
      // The engine's JSON takes no NUL.
      error: error?.replaceAll('\0', '') ?? null,
    })),
  )
}

function timestamp(at: number | null): SqlTimestamp | null {
  return at === null ? null : new SqlTimestamp(at)
}

function toApiKey([id, name, hash, scopes, createdAt, revokedAt, grants, expiresAt, lastUsedAt]: readonly SqlValue[]): ApiKey {
  const known = String(scopes)
    .split(',')
    .filter((scope) => scope !== '') as Scope[]
  return {
    id: String(id),
    name: String(name),
    hash: String(hash),
    ...grantsOf(known, typeof grants === 'string' ? grants : null),
    createdAt: micros(createdAt) ?? 0,
    expiresAt: micros(expiresAt),
    revokedAt: micros(revokedAt),
    lastUsedAt: micros(lastUsedAt),
  }
}

function toRun([id, feature, reason, startedAt, finishedAt, keys, changed, failed, error]: readonly SqlValue[]): RunRecord {
  return {
    id: String(id),
    feature: String(feature),
    reason: String(reason),
    startedAt: micros(startedAt) ?? 0,
    finishedAt: micros(finishedAt) ?? 0,
    keys: Number(keys),
    changed: Number(changed),
    failed: Number(failed),
    error: error === null || error === undefined ? null : String(error),
  }
}

function micros(time: SqlValue | undefined): number | null {
  return time instanceof SqlTimestamp ? time.micros : null
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new FabraError('store_unavailable', 'API keys and runs cannot be read or written.', {
      hint: 'Check that the disk of the data folder is not full and can be written.',
      cause: error,
    })
  }
}
