/** Labels by SQL that comes with a request: it sees what is declared, as of now, and nothing else; and no engine's word comes back. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { SQL } from 'bun'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import type { Logger } from '../../src/observability/logger.ts'
import { HEAD, type ProjectFolder, project } from '../runtime/project.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

const FEATURES = `${HEAD}
export const ev = source('ev', { timestamp: 'ts', file: './ev.csv' })
export const seen = feature({ entity: User, refresh: '5m', type: 'int', sql: "SELECT COUNT(*) FROM ev WHERE user_id = $user_id" })
`
const EVENTS = 'user_id,n,ts\nu1,1,2026-01-01T00:00:00Z\nu1,2,2026-01-02T00:00:00Z\nu2,3,2026-01-03T00:00:00Z\nu1,9,2099-01-01T00:00:00Z\n'
/** A name of a table, a value in it, and words of engines: none of them may come back. */
const SECRET = 'canary7f3a'

const SELECT = 'SELECT user_id, ts AS event_timestamp, n'
const refused: readonly string[] = [
  // Tables that no source declares.
  ...[
    SECRET,
    `public.${SECRET}`,
    `main.${SECRET}`,
    'fabra.api_keys',
    '"fabra"."api_keys"',
    'FABRA.runs',
    'fabra.feature_history',
    'nowhere',
  ],
  ...[
    'pg_catalog.pg_class',
    'pg_class',
    'pg_authid',
    'pg_shadow',
    'pg_stat_activity',
    'pg_settings',
    'information_schema.tables',
    'sqlite_master',
  ],
].map((table) => `SELECT * FROM ${table}`)
const more: readonly string[] = [
  `${SELECT} FROM ev WHERE EXISTS (SELECT 1 FROM fabra.api_keys)`,
  `WITH ev AS (SELECT * FROM fabra.api_keys) SELECT * FROM ev`,
  `WITH x AS (SELECT * FROM ${SECRET}) ${SELECT} FROM ev`,
  `${SELECT} FROM ev UNION ALL SELECT hash, now(), 1 FROM fabra.api_keys`,
  `${SELECT} FROM ev ORDER BY (SELECT MAX(hash) FROM fabra.api_keys)`,
  `${SELECT} FROM ev\u00a0JOIN\u00a0fabra.api_keys ON TRUE`,
  `${SELECT} /* \u3000 */ FROM ev, ${SECRET}`,
  // Functions that read, write, wait or tell of the server.
  ...[
    ...[
      'pg_terminate_backend(1)',
      'pg_cancel_backend(1)',
      "pg_read_file('/etc/passwd')",
      "pg_read_binary_file('/etc/passwd')",
      "pg_ls_dir('/')",
    ],
    ...[
      "pg_stat_file('/etc/passwd')",
      "lo_from_bytea(0, 'x')",
      "lo_import('/etc/passwd')",
      "lo_export(1, '/tmp/x')",
      'lo_create(0)',
      'lo_get(1)',
      'lo_unlink(1)',
    ],
    ...[
      "dblink('host=x', 'SELECT 1')",
      "set_config('role', 'postgres', false)",
      "current_setting('data_directory')",
      'pg_sleep(1)',
      'pg_reload_conf()',
    ],
    ...[
      "query_to_xml('SELECT 1', true, true, '')",
      "table_to_xml('fabra.api_keys', true, true, '')",
      'pg_advisory_lock(1)',
      'random()',
      'gen_random_uuid()',
    ],
    ...[
      "nextval('x')",
      'txid_current()',
      'version_of_nothing()',
      "has_table_privilege('fabra.api_keys', 'SELECT')",
      "to_regclass('fabra.api_keys')",
    ],
    ...[
      "pg_get_viewdef('x')",
      'inet_server_addr()',
      'current_schemas(true)',
      "getenv('HOME')",
      "json_serialize_plan('SELECT 1')",
      'current_user_of()',
    ],
    ...[
      "CAST('fabra.api_keys' AS regclass)",
      "'postgres'::regrole",
      'CAST(NULL AS fabra.api_keys)',
      'CURRENT_USER',
      'SESSION_USER',
      'CURRENT_CATALOG',
    ],
  ].map((call) => `SELECT user_id, ts AS event_timestamp, ${call} AS x FROM ev`),
  // Functions in FROM.
  ...[
    "pg_ls_dir('/')",
    "read_csv('/etc/passwd')",
    "read_text('/etc/passwd')",
    "glob('/*')",
    'duckdb_tables()',
    "query_table('ev')",
    "dblink('', '') AS t(a int)",
  ].map((call) => `SELECT * FROM ${call}`),
  `SELECT user_id, ts AS event_timestamp FROM ROWS FROM (pg_ls_dir('/')) AS x, ev`,
  "SELECT * FROM '/etc/passwd'",
  // Not one SELECT.
  ...[
    'DROP TABLE ev',
    'DELETE FROM ev',
    "COPY ev TO '/tmp/x'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    'SET ROLE postgres',
    'DO $$ BEGIN END $$',
    'CALL x()',
  ],
  ...[
    'BEGIN',
    'EXPLAIN SELECT 1',
    'SHOW ALL',
    'TABLE fabra.api_keys',
    'VACUUM',
    "ATTACH 'x'",
    'PRAGMA database_list',
    'LISTEN x',
    'LOCK TABLE ev',
    '',
  ],
  `${SELECT} FROM ev; DROP TABLE ev`,
  `${SELECT} FROM ev; SELECT 1`,
  `WITH gone AS (DELETE FROM ev RETURNING *) SELECT * FROM gone`,
  `WITH made AS (INSERT INTO ev VALUES ('x', 1, now()) RETURNING *) SELECT * FROM made`,
  `WITH made AS (UPDATE ev SET n = 0 RETURNING *) SELECT * FROM made`,
  `${SELECT} INTO gone FROM ev`,
  `${SELECT} FROM ev FOR UPDATE`,
  `${SELECT} FROM ev TABLESAMPLE BERNOULLI (50)`,
  // What an engine would refuse in its own words.
  'SELEC 1',
  `SELECT ${SECRET} FROM ev`,
  `SELECT user_id, ts AS event_timestamp FROM ev WHERE ${SECRET} = 1`,
  `SELECT CAST(user_id || '${SECRET}' AS INTEGER) AS x, user_id, ts AS event_timestamp FROM ev`,
  `SELECT 1 / (n - n) AS x, CAST('${SECRET}' || user_id AS INTEGER) AS y FROM ev`,
  `SELECT $1, user_id FROM ev`,
  `SELECT user_id, ts AS event_timestamp FROM ev WHERE user_id = $user_id`,
  'SELECT __fabra_as_of FROM ev',
  "SELECT user_id, CAST('now' AS timestamptz) AS event_timestamp FROM ev",
]

const apps = new Map<string, App>()
const logged: string[] = []
let server: TestServer
let folder: ProjectFolder
beforeAll(async () => {
  server = await startPostgres()
  const admin = new SQL(server.url, { max: 1 })
  await admin
    .unsafe(`CREATE TABLE ${SECRET} (user_id text, ts timestamptz, n int); INSERT INTO ${SECRET} VALUES ('${SECRET}', '2026-01-01Z', 1)`)
    .simple()
  await admin.close()
  folder = project({ 'features.ts': FEATURES, 'ev.csv': EVENTS })
  const log = (message: string, fields?: unknown) => void logged.push(`${message} ${Bun.inspect(fields)}`)
  const logger: Logger = { debug: log, info: log, warn: log, error: log }
  for (const engine of ['duckdb', 'postgres']) {
    const env = { FABRA_DATA_DIR: folder.path(`.fabra-${engine}`), ...(engine === 'postgres' ? { FABRA_POSTGRES_URL: server.url } : {}) }
    const config = readConfig(env, { cwd: folder.folder, terminal: false })
    apps.set(engine, await openApp({ files: [folder.path('features.ts')], config, log: logger, clockOffset: 0, redisTimes: PATIENT_REDIS }))
  }
}, 180_000)
afterAll(async () => {
  for (const app of apps.values()) await app.close()
  await server[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

async function train(engine: string, labels_sql: string, asked: Record<string, unknown> = {}) {
  const body = JSON.stringify({ features: ['seen'], labels_sql, format: 'jsonl', ...asked })
  const response = await apps.get(engine)?.fetch(new Request('http://localhost/v1/training-sets', { method: 'POST', body }))
  return { status: response?.status, text: (await response?.text()) ?? '' }
}

describe.each(['duckdb', 'postgres'])('%s', (engine) => {
  test('sees the rows of a source that are there now, and no later ones', async () => {
    for (const sql of [
      `${SELECT} FROM ev ORDER BY n`,
      `${SELECT}\u3000FROM\u00a0ev /* 取引\u3000件数 */ ORDER BY n;`,
      `${SELECT} FROM ev WHERE ts < NOW() + INTERVAL '200 years' ORDER BY n`,
    ]) {
      const { status, text } = await train(engine, sql)
      expect([sql, status]).toEqual([sql, 200])
      expect(
        text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      ).toMatchObject([
        { n: 1, seen: 0 },
        { n: 2, seen: 1 },
        { n: 3, seen: 0 },
      ])
    }
  })

  test('the rest is refused, in words of ours', async () => {
    const refusals: unknown[] = []
    for (const sql of [...refused, ...more]) {
      const { status, text } = await train(engine, sql)
      const error = text.startsWith('{"error"') ? (JSON.parse(text) as { error: { code: string } }).error : { code: 'answered' }
      const isOurs =
        !/relation|column ".*" does not exist|permission denied|Binder|Catalog Error|Referenced|invalid input syntax|division by|Candidate|LINE 1|operator does not/.test(
          text,
        )
      const wrote = sql.includes(SECRET)
      if (
        (status !== 422 && status !== 400) ||
        error.code !== (sql === '' ? error.code : 'invalid_labels') ||
        !isOurs ||
        (!wrote && text.includes(SECRET))
      )
        refusals.push([sql, status, text])
    }
    expect(refusals).toEqual([])
  })

  test('by explain and in the address as well', async () => {
    const app = apps.get(engine)
    for (const query of [
      `explain=true&labels_sql=${encodeURIComponent('SELECT * FROM fabra.api_keys')}`,
      `labels_sql=${encodeURIComponent(`SELECT * FROM ${SECRET}`)}`,
    ]) {
      const response = await app?.fetch(new Request(`http://localhost/v1/training-sets?features=seen&${query}`, { method: 'POST' }))
      expect([query, response?.status]).toEqual([query, 422])
    }
  })

  test('a wrong name is shown where it stands', async () => {
    const { text } = await train(engine, 'SELECT user_id,\n  usr AS x FROM ev')
    expect(JSON.parse(text).error.message).toContain('(line 2, column 3: usr)')
    const unknown = await train(engine, 'SELECT * FROM evs')
    expect(JSON.parse(unknown.text).error).toMatchObject({
      message: expect.stringContaining('No source is called "evs"'),
      hint: expect.stringContaining('"ev"'),
    })
  })
})

test('the log says what the engine said', () => {
  expect(logged.some((line) => line.includes('does not exist'))).toBe(true)
})
