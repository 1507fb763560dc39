/** A dump of PostgreSQL, restored into an empty database and served over an empty Redis, gives the answers that were given before. */
import { expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { postgresProgram } from '../support/postgres-cluster.ts'
import { startProduction } from '../support/production.ts'
import { until } from '../support/until.ts'

const LIMIT_MS = 240_000
const FEATURES = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id" })
export const events = source("events", { timestamp: "at", file: "events.csv" })
export const payments = source("payments", { timestamp: "paid_at" })
const times = { entity: User, type: "int", timeout: "20s" } as const
export const seen = feature({ ...times, refresh: "1d", sql: "SELECT COUNT(*) FROM events WHERE user_id = $user_id" })
export const paid = feature({ ...times, refresh: 0, sql: "SELECT COUNT(*) FROM payments WHERE user_id = $user_id" })
export const doubled = feature({ ...times, refresh: "1d" }, async (user, { db }) =>
  2 * Number(await db.fetchval("SELECT COUNT(*) FROM payments WHERE user_id = $1", user)))
export const score = feature({ entity: User, type: "float" })
`
/** After all that is written, and the same for both servers. */
const LABELLED_AT = new Date(Date.now() + 600_000).toISOString()
const KEYS = ['u1', 'u2', 'u3', 'ü "4"', 'never']

test(
  'pg_dump of the schema "fabra" and of the sources is all that a new database needs',
  async () => {
    await using servers = await startProduction()
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'features.ts'), FEATURES)
    writeFileSync(join(cwd, 'events.csv'), 'user_id,at\nu1,2026-01-01T00:00:00Z\nu1,2026-01-02T00:00:00Z\nu2,2026-01-01T00:00:00Z\n')
    const first = await servers.fresh()
    const second = await servers.fresh()
    await run(
      first.FABRA_POSTGRES_URL,
      "CREATE TABLE payments AS SELECT 'u' || n % 3 AS user_id, now() - n * INTERVAL '1 day' AS paid_at FROM generate_series(1, 20) AS n",
    )
    const key = (await runFabra(['keys', 'create', '--scopes', 'read,write,train,admin'], { cwd, env: first })).stdout.trim()
    const before = await serve(cwd, first, key)
    const rows = KEYS.slice(0, 4).map((user_id, i) => ({ user_id, value: i / 3 }))
    await before.ask('/v1/features/score/values', 'POST', { rows })
    await before.ask('/v1/features/score/values', 'POST', { rows: [{ user_id: 'u1', value: 9.5 }] })
    await before.ask('/v1/sources/events/rows', 'POST', { rows: [{ user_id: 'u2', at: '2026-01-03T00:00:00Z' }] })
    await before.ask('/v1/entities/User/u3', 'DELETE')
    for (const name of ['seen', 'doubled']) await before.ask(`/v1/features/${name}/refresh`, 'POST', {})
    // What is computed for a read is recorded a moment after its answer: the second time all of it is.
    await before.answers()
    await until('all to be recorded', 60_000, async () =>
      /^fabra_history_rows_waiting 0$/m.test(String(await before.ask('/metrics', 'GET'))) ? true : undefined,
    )
    const answers = await before.answers()
    await before.stop()

    const dump = join(cwd, 'all.dump')
    program('pg_dump', [
      '--format=custom',
      '--no-owner',
      `--file=${dump}`,
      '--schema=fabra',
      '--schema=public',
      `--dbname=${first.FABRA_POSTGRES_URL}`,
    ])
    program('pg_restore', ['--clean', '--if-exists', '--no-owner', '--exit-on-error', `--dbname=${second.FABRA_POSTGRES_URL}`, dump])
    const after = await serve(cwd, second, key)
    expect(await after.answers()).toEqual(answers)
    await after.stop()
    rmSync(cwd, { recursive: true, force: true })
  },
  LIMIT_MS,
)

interface Served {
  readonly values: readonly unknown[]
  readonly statuses: readonly string[]
}

interface Server {
  ask(path: string, method: string, body?: object): Promise<unknown>
  /** All that stays as it was: values, training sets by record and anew, keys, runs. */
  answers(): Promise<unknown>
  stop(): Promise<unknown>
}

async function serve(cwd: string, stores: Readonly<Record<string, string>>, key: string): Promise<Server> {
  const env = { ...stores, FABRA_ENV: 'production', FABRA_HOST: '127.0.0.1' }
  const fabra = await startFabra({ file: 'features.ts', cwd, env })
  const ask: Server['ask'] = async (path, method, body) => {
    const init = { method, headers: { authorization: `Bearer ${key}` } }
    const response = await fetch(fabra.url + path, body ? { ...init, body: JSON.stringify(body) } : init)
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`)
    return response.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(text) : text
  }
  await until('all to be ready', LIMIT_MS / 2, async () => {
    const { status } = (await (await fetch(`${fabra.url}/ready`)).json()) as { readonly status: string }
    return status === 'ready' ? true : undefined
  })
  return {
    ask,
    async answers() {
      const features = ['seen', 'paid', 'doubled', 'score']
      const rows = KEYS.map((user_id) => ({ user_id }))
      const { results } = (await ask('/v1/features', 'POST', { features, rows })) as { readonly results: readonly Served[] }
      const labels = rows.slice(0, 4).map((row) => ({ ...row, event_timestamp: LABELLED_AT }))
      const trained = await ask('/v1/training-sets', 'POST', { features, rows: labels, format: 'jsonl' })
      const recorded = await ask('/v1/training-sets', 'POST', {
        features: ['seen', 'score'],
        rows: labels,
        as_served: true,
        format: 'jsonl',
      })
      return { values: results.map(({ values, statuses }) => [values, statuses]), trained, recorded }
    },
    stop: () => fabra.stop(),
  }
}

async function run(url: string, text: string): Promise<void> {
  const sql = new SQL(url, { max: 1 })
  await sql.unsafe(text)
  await sql.close()
}

/** One of PostgreSQL's. */
function program(name: string, args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([postgresProgram(name), ...args])
  if (exitCode !== 0) throw new Error(`${name}: ${stderr}`)
}
