import type { ChangeRecord, ChangeStore } from '../ports/change-store.ts'
import type { Parameter, Postgres } from './connection/postgres.ts'
import { storeErrors } from './connection/store-errors.ts'
import { microsOf, timeOf } from './history/history-sql.ts'

const WORK_MS = 10_000
/** Of each kind and subject. */
const MAX_CHANGES = 200
const FORGET_EVERY = 500

const ADD = `
INSERT INTO fabra.changes (id, changed_at, kind, subject, body)
SELECT id, ${timeOf('at_us')}, kind, subject, body
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) AS c(id, at_us, kind, subject, body)
ON CONFLICT (id) DO NOTHING`

const FORGET = `
DELETE FROM fabra.changes WHERE id IN (
  SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY kind, subject ORDER BY changed_at DESC, id DESC) AS n FROM fabra.changes) AS ranked
  WHERE n > ${MAX_CHANGES}
)`

const LIST = `
SELECT id, ${microsOf('changed_at')}, kind, subject, body
FROM fabra.changes
WHERE ($1::text IS NULL OR kind = $1) AND ($2::bigint IS NULL OR changed_at >= ${timeOf('$2::bigint')})
ORDER BY changed_at DESC, id DESC
LIMIT $3::bigint`

const LOADED = `SELECT source, ${microsOf('loaded_at')} FROM fabra.source_files`

/** Changes in PostgreSQL, the same for every process. Does not close the connections. */
export function createPostgresChangeStore(postgres: Postgres): ChangeStore {
  const run = (text: string, parameters: readonly Parameter[], readOnly: boolean) =>
    storeErrors(() => postgres.run(text, parameters, { timeoutMs: WORK_MS, readOnly }))
  let count = 0
  return {
    async addChanges(changes) {
      if (changes.length === 0) return
      await run(ADD, asArrays(changes), false)
      count += changes.length
      if (count < FORGET_EVERY) return
      count = 0
      await run(FORGET, [], false)
    },
    async changes({ kind, since, limit }) {
      const { rows } = await run(LIST, [kind ?? null, since ?? null, limit], true)
      return rows.map(toChange)
    },
    async loadedSources() {
      const { rows } = await run(LOADED, [], true)
      return new Map(rows.map(([source, at]) => [String(source), Number(at)]))
    },
  }
}

/** No text of PostgreSQL has a NUL. */
function asArrays(changes: readonly ChangeRecord[]): Parameter[] {
  const clean = (text: string) => text.replaceAll('\0', '')
  return [
    changes.map((change) => clean(change.id)),
    changes.map((change) => change.at),
    changes.map((change) => change.kind),
    changes.map((change) => clean(change.subject)),
    changes.map((change) => clean(change.body)),
  ]
}

function toChange([id, at, kind, subject, body]: readonly (string | null)[]): ChangeRecord {
  return { id: String(id), at: Number(at), kind: String(kind) as ChangeRecord['kind'], subject: String(subject), body: String(body) }
}
