import { FabraError } from '../../errors.ts'
import { AUDIT_KEPT_DAYS, type AuditRecord, type AuditStore, MOST_AUDIT_RECORDS } from '../ports/audit-store.ts'
import { SqlTimestamp, type SqlValue } from '../ports/source-engine.ts'
import { type Database, ownDeadline } from './connection/database.ts'

const FORGET_EVERY = 1_000

/** $1: JSON. */
const ADD = `
INSERT INTO fabra.audit (id, happened_at, action, subject, result, body)
SELECT a.id, make_timestamptz(a.at_us), a.action, a.subject, a.result, a.body
FROM (SELECT UNNEST(from_json(CAST($1 AS VARCHAR),
  '[{"id":"VARCHAR","at_us":"BIGINT","action":"VARCHAR","subject":"VARCHAR","result":"VARCHAR","body":"VARCHAR"}]'), recursive := true)) AS a
WHERE a.id NOT IN (SELECT id FROM fabra.audit)`

const FORGET = `
DELETE FROM fabra.audit
WHERE happened_at < (SELECT max(happened_at) FROM fabra.audit) - INTERVAL ${AUDIT_KEPT_DAYS} DAY
   OR id IN (SELECT id FROM fabra.audit ORDER BY happened_at DESC, id DESC OFFSET ${MOST_AUDIT_RECORDS})`

const LIST = `
SELECT id, happened_at, action, subject, result, body
FROM fabra.audit
WHERE ($1::VARCHAR IS NULL OR action = $1) AND ($2::VARCHAR IS NULL OR subject = $2)
  AND ($3::TIMESTAMPTZ IS NULL OR happened_at >= $3::TIMESTAMPTZ)
  AND ($4::TIMESTAMPTZ IS NULL OR happened_at < $4::TIMESTAMPTZ OR (happened_at = $4::TIMESTAMPTZ AND id < $5))
ORDER BY happened_at DESC, id DESC
LIMIT $6`

/** Who did what in the laptop's one file. Does not close it. */
export function createDuckdbAuditStore(database: Database): AuditStore {
  // A process that has just started does not know how many there are.
  let count = FORGET_EVERY
  return {
    async addAudit(records) {
      if (records.length === 0) return
      count += records.length
      await reported(() =>
        database.history.use(ownDeadline(), async (session, left) => {
          await session.read(ADD, [asJson(records)], left)
          if (count < FORGET_EVERY) return
          count = 0
          await session.read(FORGET, [], left)
        }),
      )
    },
    async audit({ action, subject, since, before, limit }) {
      const times = [since, before?.at].map((at) => (at === undefined ? null : new SqlTimestamp(at)))
      const parameters = [action ?? null, subject ?? null, ...times, before?.id ?? null, limit]
      const { rows } = await reported(() => database.readers.use(ownDeadline(), (session, left) => session.read(LIST, parameters, left)))
      return rows.map(toRecord)
    },
  }
}

function asJson(records: readonly AuditRecord[]): string {
  // The engine's JSON takes no NUL.
  const clean = (text: string) => text.replaceAll('\0', '')
  return JSON.stringify(
    records.map(({ id, at, subject, body, ...more }) => ({
      ...more,
      id: clean(id),
      at_us: at,
      subject: subject && clean(subject),
      body: clean(body),
    })),
  )
}

function toRecord([id, at, action, subject, result, body]: readonly SqlValue[]): AuditRecord {
  return {
    id: String(id),
    at: at instanceof SqlTimestamp ? at.micros : 0,
    action: String(action),
    subject: subject === null || subject === undefined ? null : String(subject),
    result: String(result),
    body: String(body),
  }
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new FabraError('store_unavailable', 'The audit log cannot be read or written.', {
      hint: 'Check that the disk of the data folder is not full and can be written.',
      cause: error,
    })
  }
}
