/**
 * Brings the schema `fabra` up to this executable. Any number of processes may do it at once: one works under a lock of its transaction, the
 * others wait and find it done. All steps happen or none.
 *
 * Steps expand what is there, and the version before runs on beside them: a schema with steps that this executable does not know is one that it can
 * use, unless one of those took something away.
 */
import { FabraError } from '../../../errors.ts'
import type { SqlError } from '../../ports/source-engine.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres, Statements, Transaction } from '../connection/postgres.ts'
import { asStoreError } from '../connection/store-errors.ts'
import { MIGRATIONS, type Migration } from './migrations/index.ts'

export interface MigrationState {
  readonly id: number
  readonly name: string
  readonly applied: boolean
  /** Of a newer executable, which this one runs beside. */
  readonly isNewer: boolean
  /** It keeps out older executables, and waits until it is asked for. */
  readonly finishes: boolean
}

export interface Migrating {
  readonly migrations: readonly MigrationState[]
  /** Names of those that were applied now. */
  readonly applied: readonly string[]
}

/** Long: a step may have to rewrite a large table, and another process may be at it. */
const WORK_MS = 600_000
const LOOK_MS = 10_000
/** Of a step that finishes. */
const FINISH_MS = 10_000
const FINISH_LOCK_MS = 500
const FINISH_ATTEMPTS = 60
/** Any number of ours; the lock is one of the database's. */
const LOCK = 4_210_721_988
const OLDEST_SERVER = 140_000

/** Which steps there are and which are done; changes nothing. @throws FabraError store_unavailable, schema_mismatch */
export async function migrationState(postgres: Postgres, migrations = MIGRATIONS): Promise<readonly MigrationState[]> {
  return reported(async () => {
    const done = await postgres.transaction({ timeoutMs: LOOK_MS, readOnly: true }, appliedIn)
    checkApplied(done, migrations)
    return [
      ...migrations.map(({ id, name, finishes = false }) => {
        return { id, name, applied: done.some((one) => one.id === id), isNewer: false, finishes }
      }),
      ...unknownOf(done, migrations).map(({ id, name }) => ({ id, name, applied: true, isNewer: true, finishes: false })),
    ]
  })
}

/**
 * A schema that begins now has all steps; in one that is there, those that finish are left out.
 * @throws FabraError store_unavailable, schema_mismatch; forbidden where the role may not change the schema
 */
export async function migrate(postgres: Postgres, migrations = MIGRATIONS): Promise<Migrating> {
  const before = await migrationState(postgres, migrations)
  // Where all is done no right to change anything is needed.
  if (before.every(({ applied, finishes }) => applied || (finishes && before.some((one) => one.applied))))
    return { migrations: before, applied: [] }
  const work = { timeoutMs: WORK_MS }
  const applied = await reported(() => postgres.transaction(work, (statements) => applyPending(statements, migrations, false)))
  return { migrations: await migrationState(postgres, migrations), applied }
}

/**
 * The steps that finish, after all others: executables older than this one cannot use the schema any more. Processes of this version go on meanwhile.
 * @throws FabraError store_unavailable, schema_mismatch, forbidden
 */
export async function finishMigration(postgres: Postgres, migrations = MIGRATIONS): Promise<Migrating> {
  const { applied } = await migrate(postgres, migrations)
  const finished: string[] = []
  const work = { timeoutMs: FINISH_MS, settings: { lock_timeout: FINISH_LOCK_MS } }
  for (let attempt = 1; ; attempt++) {
    try {
      finished.push(...(await postgres.transaction(work, (statements) => applyPending(statements, migrations, true))))
      break
    } catch (error) {
      const isInUse = error instanceof PostgresSqlError && error.state === '55P03'
      if (!isInUse || attempt === FINISH_ATTEMPTS) await reported(() => Promise.reject(error))
      await Bun.sleep(FINISH_LOCK_MS)
    }
  }
  return { migrations: await migrationState(postgres, migrations), applied: [...applied, ...finished] }
}

async function applyPending(statements: Transaction, migrations: readonly Migration[], isFinishing: boolean): Promise<string[]> {
  await statements.run('SELECT pg_advisory_xact_lock($1::bigint)', [LOCK])
  await checkServer(statements)
  const done = await appliedIn(statements)
  checkApplied(done, migrations)
  await statements.script(`
CREATE SCHEMA IF NOT EXISTS fabra;
CREATE TABLE IF NOT EXISTS fabra.migrations (
  id integer PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Whether older executables can no longer use the schema; of steps that did not say so it is not known.
ALTER TABLE fabra.migrations ADD COLUMN IF NOT EXISTS contracts boolean NOT NULL DEFAULT true`)
  const applied: string[] = []
  for (const migration of migrations) {
    if (done.some(({ id }) => id === migration.id)) continue
    if (migration.finishes && done.length > 0 && !isFinishing) continue
    await statements.script(migration.text)
    await statements.run('INSERT INTO fabra.migrations (id, name, checksum, contracts) VALUES ($1::integer, $2, $3, $4::boolean)', [
      ...[migration.id, migration.name, checksumOf(migration)],
      String(migration.contracts === true),
    ])
    applied.push(migration.name)
  }
  if (applied.length > 0) await tellOf(statements, applied)
  return applied
}

/** In the audit log, where it is there already: as the database knows who it was. */
async function tellOf(statements: Transaction, applied: readonly string[]): Promise<void> {
  const there = await statements.run("SELECT to_regclass('fabra.audit') IS NOT NULL")
  if (there.rows[0]?.[0] !== 't') return
  await statements.run(
    `INSERT INTO fabra.audit (id, happened_at, action, subject, result, body)
     SELECT 'schema.migrate:' || gen_random_uuid(), clock_timestamp(), 'schema.migrate', NULL, 'ok', json_build_object(
       'by', json_build_object('kind', 'user', 'name', session_user, 'id', NULL), 'rows', NULL, 'requests', 1, 'request_id', NULL,
       'detail', json_build_object('steps', $1::text))::text`,
    [applied.join(', ')],
  )
}

interface Applied {
  readonly id: number
  readonly name: string
  readonly checksum: string
  readonly contracts: boolean
}

async function appliedIn(statements: Statements): Promise<Applied[]> {
  const there = await statements.run("SELECT to_regclass('fabra.migrations') IS NOT NULL")
  if (there.rows[0]?.[0] !== 't') return []
  // The first versions made the table without the last of them.
  const { rows } = await statements.run(
    "SELECT id, name, checksum, COALESCE((to_jsonb(step) ->> 'contracts')::boolean, true) FROM fabra.migrations AS step ORDER BY id",
  )
  return rows.map(([id, name, checksum, contracts]) => ({
    ...{ id: Number(id), name: String(name), checksum: String(checksum) },
    contracts: contracts === 't',
  }))
}

function unknownOf(done: readonly Applied[], migrations: readonly Migration[]): readonly Applied[] {
  return done.filter(({ id }) => !migrations.some((migration) => migration.id === id))
}

async function checkServer(statements: Statements): Promise<void> {
  const { rows } = await statements.run("SELECT current_setting('server_version_num')::integer, current_setting('server_version')")
  if (Number(rows[0]?.[0]) >= OLDEST_SERVER) return
  throw new FabraError('schema_mismatch', `PostgreSQL ${rows[0]?.[1]} is too old.`, { hint: 'Fabra needs PostgreSQL 14 or newer.' })
}

function checkApplied(done: readonly Applied[], migrations: readonly Migration[]): void {
  const unknown = unknownOf(done, migrations).find(({ contracts }) => contracts)
  if (unknown) {
    throw new FabraError(
      'schema_mismatch',
      `The schema "fabra" of the database is newer than this executable: step ${unknown.id} (${unknown.name}) took away what this one uses.`,
      { hint: 'Run the version of Fabra that made it, or a newer one.' },
    )
  }
  const changed = migrations.find((migration) => done.some(({ id, checksum }) => id === migration.id && checksum !== checksumOf(migration)))
  if (!changed) return
  throw new FabraError(
    'schema_mismatch',
    `Step ${changed.id} (${changed.name}) of the schema "fabra" was made by another build of Fabra.`,
    {
      hint: 'Run the version of Fabra that made it. To begin anew, and lose what is recorded: DROP SCHEMA fabra CASCADE.',
    },
  )
}

/** Of what is done, not of how it is laid out: comments and blanks may change. */
function checksumOf({ text }: Migration): string {
  const meaning = text
    .replace(/--[^\n]*/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  return new Bun.CryptoHasher('sha256').update(meaning).digest('hex')
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isForbidden(error)) {
      throw new FabraError('forbidden', 'The schema "fabra" is not up to date, and the role of FABRA_POSTGRES_URL may not change it.', {
        hint: 'Run "fabra migrate" with a role that may create schemas and tables in this database.',
        cause: error,
      })
    }
    throw asStoreError(error)
  }
}

function isForbidden(error: unknown): error is SqlError {
  return error instanceof PostgresSqlError && error.state === '42501'
}
