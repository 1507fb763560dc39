/**
 * A program: commits to a file until writing the log into it fails, as on a full disk, and says what its session made of that. Its arguments:
 * the file, and the rows of each commit.
 */
import { statSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import { ownDeadline } from '../../src/store/duckdb/connection/own-deadline.ts'
import { createSession } from '../../src/store/duckdb/connection/session.ts'
import { invalidation } from '../../src/store/duckdb/connection/sql-errors.ts'

const file = String(process.argv[2])
const ROOM = 1_200_000
const FIRST_ROWS = 60_000
const ROWS = Number(process.argv[3])
const INSERT = `INSERT INTO t SELECT md5(random()::VARCHAR) FROM range(${ROWS})`

async function open() {
  const instance = await DuckDBInstance.create(':memory:', { checkpoint_threshold: '1MB' })
  const connection = await instance.connect()
  await connection.run(`PRAGMA disable_checkpoint_on_shutdown; ATTACH '${file}' AS f; USE f; SET errors_as_json = true`)
  return { instance, session: createSession(connection) }
}

let { instance, session } = await open()
await session.execute(`CREATE TABLE t AS SELECT md5(random()::VARCHAR) AS text FROM range(${FIRST_ROWS})`, ownDeadline())
await session.execute('CHECKPOINT f', ownDeadline())
Bun.spawnSync(['prlimit', `--fsize=${Math.max(statSync(file).size, ROOM)}:`, '--pid', String(process.pid)])
let commits = 0
let error: unknown
while (error === undefined && session.invalidated() === undefined && commits < 40) {
  try {
    await session.repeat(INSERT, [], ownDeadline())
    commits++
  } catch (met) {
    error = met
  }
}
const next = await session.repeat(INSERT, [], ownDeadline()).then(() => undefined, invalidation)
session.close()
instance.closeSync()
;({ instance, session } = await open())
const { rows } = await session.read('SELECT COUNT(*) FROM t', [], ownDeadline())
const stored = Number(rows[0]?.[0]) - FIRST_ROWS
console.log(JSON.stringify({ failed: invalidation(error), next, lost: commits * ROWS - stored }))
session.close()
instance.closeSync()
