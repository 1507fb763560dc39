import { FabraError } from '../../errors.ts'
import type { ChangeRecord, ChangeStore } from '../ports/change-store.ts'
import { SqlTimestamp, type SqlValue } from '../ports/source-engine.ts'
import { type Database, ownDeadline } from './connection/database.ts'

/** Of each kind and subject. */
const MAX_CHANGES = 200
const FORGET_EVERY = 500

/** $1: JSON. */
const ADD = `
INSERT INTO fabra.changes (id, changed_at, kind, subject, body)
SELECT c.id, make_timestamptz(c.at_us), c.kind, c.subject, c.body
FROM (SELECT UNNEST(from_json(CAST($1 AS VARCHAR),
  '[{"id":"VARCHAR","at_us":"BIGINT","kind":"VARCHAR","subject":"VARCHAR","body":"VARCHAR"}]'), recursive := true)) AS c
WHERE c.id NOT IN (SELECT id FROM fabra.changes)`

const FORGET = `
DELETE FROM fabra.changes
WHERE id IN (SELECT id FROM fabra.changes QUALIFY row_number() OVER (PARTITION BY kind, subject ORDER BY changed_at DESC, id DESC) > ${MAX_CHANGES})`

const LIST = `
SELECT id, changed_at, kind, subject, body
FROM fabra.changes
WHERE ($1::VARCHAR IS NULL OR kind = $1) AND ($2::TIMESTAMPTZ IS NULL OR changed_at >= $2::TIMESTAMPTZ)
ORDER BY changed_at DESC, id DESC
LIMIT $3`

const LOADED = 'SELECT source, max(loaded_at) FROM fabra.source_files GROUP BY source'

/** Changes in the laptop's one file. Does not close it. */
export function createDuckdbChangeStore(database: Database): ChangeStore {
  let count = 0
  return {
    async addChanges(changes) {
      if (changes.length === 0) return
      count += changes.length
      await reported(() =>
        database.history.use(ownDeadline(), async (session, left) => {
          await session.read(ADD, [asJson(changes)], left)
          if (count < FORGET_EVERY) return
          count = 0
          await session.read(FORGET, [], left)
        }),
      )
    },
    async changes({ kind, since, limit }) {
      const parameters = [kind ?? null, since === undefined ? null : new SqlTimestamp(since), limit]
      const { rows } = await reported(() => database.readers.use(ownDeadline(), (session, left) => session.read(LIST, parameters, left)))
      return rows.map(toChange)
    },
    async loadedSources() {
      const { rows } = await reported(() => database.readers.use(ownDeadline(), (session, left) => session.read(LOADED, [], left)))
      return new Map(rows.flatMap(([source, at]) => (at instanceof SqlTimestamp ? [[String(source), at.micros] as const] : [])))
    },
  }
}

function asJson(changes: readonly ChangeRecord[]): string {
  // The engine's JSON takes no NUL.
  const clean = (text: string) => text.replaceAll('\0', '')
  return JSON.stringify(
    changes.map(({ id, at, kind, subject, body }) => ({ id: clean(id), at_us: at, kind, subject: clean(subject), body: clean(body) })),
  )
}

function toChange([id, at, kind, subject, body]: readonly SqlValue[]): ChangeRecord {
  return {
    id: String(id),
    at: at instanceof SqlTimestamp ? at.micros : 0,
    kind: String(kind) as ChangeRecord['kind'],
    subject: String(subject),
    body: String(body),
  }
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new FabraError('store_unavailable', 'What changed cannot be read or written.', {
      hint: 'Check that the disk of the data folder is not full and can be written.',
      cause: error,
    })
  }
}
