import { AUDIT_KEPT_DAYS, type AuditRecord, type AuditStore, MOST_AUDIT_RECORDS } from '../ports/audit-store.ts'
import type { Parameter, Postgres } from './connection/postgres.ts'
import { storeErrors } from './connection/store-errors.ts'
import { microsOf, timeOf } from './history/history-sql.ts'

const WORK_MS = 10_000
const FORGET_EVERY = 1_000

const ADD = `
INSERT INTO fabra.audit (id, happened_at, action, subject, result, body)
SELECT id, ${timeOf('at_us')}, action, subject, result, body
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[]) AS a(id, at_us, action, subject, result, body)
ON CONFLICT (id) DO NOTHING`

const FORGET = `
DELETE FROM fabra.audit
WHERE happened_at < (SELECT max(happened_at) FROM fabra.audit) - interval '${AUDIT_KEPT_DAYS} days'
   OR id IN (SELECT id FROM fabra.audit ORDER BY happened_at DESC, id DESC OFFSET ${MOST_AUDIT_RECORDS})`

const LIST = `
SELECT id, ${microsOf('happened_at')}, action, subject, result, body
FROM fabra.audit
WHERE ($1::text IS NULL OR action = $1) AND ($2::text IS NULL OR subject = $2)
  AND ($3::bigint IS NULL OR happened_at >= ${timeOf('$3::bigint')})
  AND ($4::bigint IS NULL OR (happened_at, id) < (${timeOf('$4::bigint')}, $5::text COLLATE "C"))
ORDER BY happened_at DESC, id DESC
LIMIT $6::bigint`

/** Who did what in PostgreSQL, the same for every process. Does not close the connections. */
export function createPostgresAuditStore(postgres: Postgres): AuditStore {
  const run = (text: string, parameters: readonly Parameter[], readOnly: boolean) =>
    storeErrors(() => postgres.run(text, parameters, { timeoutMs: WORK_MS, readOnly }))
  // A process that has just started does not know how many there are.
  let count = FORGET_EVERY
  return {
    async addAudit(records) {
      if (records.length === 0) return
      await run(ADD, asArrays(records), false)
      count += records.length
      if (count < FORGET_EVERY) return
      count = 0
      await run(FORGET, [], false)
    },
    async audit({ action, subject, since, before, limit }) {
      const place = [before?.at ?? null, before?.id ?? null]
      const { rows } = await run(LIST, [action ?? null, subject ?? null, since ?? null, ...place, limit], true)
      return rows.map(toRecord)
    },
  }
}

/** No text of PostgreSQL has a NUL. */
function asArrays(records: readonly AuditRecord[]): Parameter[] {
  const clean = (text: string) => text.replaceAll('\0', '')
  return [
    records.map(({ id }) => clean(id)),
    records.map(({ at }) => at),
    records.map(({ action }) => action),
    records.map(({ subject }) => subject && clean(subject)),
    records.map(({ result }) => result),
    records.map(({ body }) => clean(body)),
  ]
}

function toRecord([id, at, action, subject, result, body]: readonly (string | null)[]): AuditRecord {
  return { id: String(id), at: Number(at), action: String(action), subject: subject ?? null, result: String(result), body: String(body) }
}
