/** A project with 500 features over 200,000 events, and a million recorded values. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { fabra, withEngine } from './training-run.ts'

const FEATURES = 500
const HISTORY = 1_000_000
const EVENTS = 200_000
const KEYS = 1_000
const LONG = ownDeadline(600_000)

/** Features of four kinds over one table; three of four have one value, the others two columns. */
export function definitions(): string {
  const hours = (i: number) => 1 + (i % 48)
  const sql = (i: number) => {
    const where = `FROM events WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '${hours(i)} hours'`
    const kinds = [
      `SELECT COUNT(*) ${where}`,
      `SELECT SUM(amount) ${where}`,
      `SELECT COUNT(DISTINCT merchant_id) ${where}`,
      `SELECT AVG(amount) AS mean, MAX(merchant_id) AS merchant ${where}`,
    ]
    return kinds[i % kinds.length] ?? ''
  }
  const one = (i: number) =>
    `export const f${i} = feature({ entity: User, refresh: '1h', timeout: '60s', ${i % 4 === 3 ? "columns: { mean: 'float', merchant: 'string' }, " : ''}sql: \`${sql(i)}\` })`
  return `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at', id: 'id', file: './events.parquet' })
${Array.from({ length: FEATURES }, (_, i) => one(i)).join('\n')}
`
}

export async function fill(cwd: string): Promise<void> {
  await events(cwd)
  await record(cwd)
}

function events(cwd: string): Promise<void> {
  const time = "now() - INTERVAL '30 days' + (hash(i) % 2592000) * INTERVAL '1 second'"
  return withEngine((run) =>
    run(
      `COPY (SELECT i AS id, 'u' || (i % ${KEYS}) AS user_id, 'm' || (i % 97) AS merchant_id, (i % 1000) / 10.0 AS amount, ${time} AS created_at
       FROM range(${EVENTS}) r(i)) TO '${join(cwd, 'events.parquet')}' (FORMAT parquet)`,
    ),
  )
}

/** Straight into the data folder. Half of it is of one key, over the last days. */
async function record(cwd: string): Promise<void> {
  const names = Array.from({ length: FEATURES }, (_, i) => `f${i}`)
  const { stdout } = await fabra(['train', '--features', names.join(','), '--explain', '--json'], cwd)
  const explained = (JSON.parse(stdout) as { features: { feature: string; fingerprint: string }[] }).features
  const values = explained.map(({ feature, fingerprint }, i) => `(${i}, '${feature}', '${fingerprint}')`)
  mkdirSync(join(cwd, '.fabra'), { recursive: true })
  const database = await openDatabase({ file: join(cwd, '.fabra/fabra.duckdb') })
  try {
    await database.loader.use(LONG, (session) =>
      session.execute(
        `INSERT INTO fabra.feature_history
         SELECT feature, fingerprint, key, CASE WHEN f % 4 = 3 THEN '{"mean":' || i % 7 || ',"merchant":"m1"}' ELSE CAST(i % 7 AS VARCHAR) END,
           t, t + INTERVAL '1 second', t, i, 'refresh'
         FROM (SELECT i, i % ${FEATURES} AS f, CASE WHEN i % 2 = 0 THEN 'u1' ELSE 'u' || (hash(i) % ${KEYS}) END AS key,
             now() - INTERVAL '6 days' + (i // ${FEATURES}) * INTERVAL '4 minutes' AS t FROM range(${HISTORY}) r(i))
         JOIN (VALUES ${values.join(', ')}) AS known(f, feature, fingerprint) USING (f)`,
        LONG,
      ),
    )
  } finally {
    await database.close()
  }
}
