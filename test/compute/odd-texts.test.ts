/** Texts in which an engine counts characters otherwise than whoever wrote them. What is later than the time asked for must not be seen. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { parseTime } from '../../src/definition/time.ts'
import { type ComputeBench, openComputeBench, registryOf, type SqlBench } from '../support/compute-bench.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { ODD_BLANKS } from '../support/strewn.ts'

const TABLES = `CREATE TABLE ev (user_id VARCHAR, v INTEGER, ts TIMESTAMP WITH TIME ZONE);
  INSERT INTO ev VALUES ('u1', 1, '2026-01-01 00:00:00+00'), ('u1', 2, '2026-01-02 00:00:00+00'), ('u1', 4, '2099-06-02 00:00:00+00')`
const sources = { ev: { timestamp: 'ts' } }
/** Of the three rows one was there at the first time, two at the second. */
const TIMES = ['2026-01-01T12:00:00Z', '2026-11-01T00:00:00Z'] as const

let server: TestServer
let duckdb: ComputeBench
let postgres: PostgresBench
beforeAll(async () => {
  server = await startPostgres()
  duckdb = await openComputeBench(1)
  postgres = await openPostgresBench(server, 'odd_texts')
  for (const bench of [duckdb, postgres]) await bench.execute(TABLES)
}, 180_000)
afterAll(async () => {
  await duckdb.store.close()
  await postgres.close()
  await server[Symbol.asyncDispose]()
})

const benchOf = (engine: string): SqlBench => (engine === 'duckdb' ? duckdb : postgres)

async function seen(bench: SqlBench, sql: string): Promise<readonly string[]> {
  const [only] = await seenOfEach(bench, [sql])
  return only ?? []
}

/**
 * As features of one file: what a definition costs is mostly the look at the engine before it.
 * @param turn Every other one is asked for one row alone, too; of two turns that are neighbours, one asks what the other leaves out.
 */
async function seenOfEach(bench: SqlBench, sqls: readonly string[], turn = 0): Promise<(readonly string[])[]> {
  const { definitions, ask } = await bench.define({ sources, features: Object.fromEntries(sqls.map((sql, i) => [`f${i}`, sql])) })
  const rows = TIMES.map((time) => ['u1', time] as const)
  const found: (readonly string[])[] = []
  for (let i = 0; i < sqls.length; i++) {
    const problems = definitions.problems.filter(({ subject }) => subject === `feature "f${i}"`)
    const both = problems.length > 0 ? problems.map(({ message }) => `refused: ${message}`) : await ask(`f${i}`, rows)
    if (problems.length === 0 && (i + turn) % 2 === 0) expect(await ask(`f${i}`, rows.slice(0, 1))).toEqual(both.slice(0, 1))
    found.push(both)
  }
  return found
}

describe.each(['duckdb', 'postgres'])('%s', (engine) => {
  const shapes = (odd: string) => [
    `SELECT COUNT(*) /* 取引${odd}件数 */ FROM ev WHERE user_id = $user_id`,
    `SELECT COUNT(*)${odd}FROM ev WHERE user_id = $user_id`,
    `${odd}SELECT COUNT(*) FROM ev WHERE user_id = $user_id${odd}`,
    `SELECT COUNT(*) FROM ev${odd}WHERE${odd}user_id${odd}=${odd}$user_id${odd}AND${odd}TRUE`,
    `SELECT COUNT(*) FROM${odd}${odd}public_or_main.ev${odd}AS${odd}"e${odd}v" WHERE "e${odd}v".user_id = $user_id`,
    `SELECT COUNT(*) -- it's ${odd}\n FROM ev WHERE user_id = $user_id`,
    `SELECT COUNT(*) /* ' */ ${odd} FROM ev WHERE 'a${odd}b' <> 'ab' AND user_id = $user_id /* ' */`,
    `SELECT COUNT(*) -- " ${odd}\r FROM ev WHERE $q$ '${odd}-- $q$ <> '' AND user_id = $user_id`,
    `WITH "x${odd}" AS (SELECT *${odd}FROM ev) SELECT COUNT(*) FROM "x${odd}"${odd}WHERE user_id = $user_id`,
    `SELECT COUNT(*)${odd}FROM ev WHERE ts < NOW${odd}(${odd})${odd}AND user_id = $user_id`,
  ]

  test.each(ODD_BLANKS.map((odd) => [`U+${odd.codePointAt(0)?.toString(16).padStart(4, '0')}`, odd]))(
    'a blank %s hides no row and shows none',
    async (_, odd) => {
      const schema = engine === 'duckdb' ? 'main' : 'public'
      const sqls = shapes(odd).map((shape) => shape.replace('public_or_main', schema))
      const answers = await seenOfEach(benchOf(engine), sqls, ODD_BLANKS.indexOf(odd))
      expect(answers.map((both, i) => [sqls[i], ...both])).toEqual(sqls.map((sql) => [sql, '=1', '=2']))
    },
  )

  test.each([
    // A lone carriage return ends a comment.
    'SELECT COUNT(*) -- later\rFROM ev WHERE user_id = $user_id',
    'SELECT COUNT(*)\r\nFROM ev\rWHERE user_id = $user_id',
    // Backslashes mean the same in all pieces of a string.
    "SELECT COUNT(*) FROM ev WHERE user_id = $user_id AND E'a'\n'\\'' <> ' FROM ev'",
    'SELECT COUNT(*) /* 😀 é /* ü */ */ FROM ev "😀é" WHERE "😀é".user_id = $user_id',
    "SELECT COUNT(*) FROM ev é WHERE é.user_id = $user_id AND 'ü' <> 'u'",
    'SELECT COUNT(*) FROM ev WHERE user_id = $user_id AND $é$ FROM ev $é$ <> $$ $q$ $$',
  ])('%s', async (sql) => {
    expect(await seen(benchOf(engine), sql)).toEqual(['=1', '=2'])
  })

  test('what stands in strings and names stays as it is', async () => {
    const odd = ODD_BLANKS.join('')
    const sql = `SELECT 'a${odd}' ||${ODD_BLANKS[0]}$q$${odd}$q$ || MAX("x${odd}") FROM (SELECT user_id AS "x${odd}" FROM ev) AS t`
    expect(await seen(benchOf(engine), sql)).toEqual([`=${JSON.stringify(`a${odd}${odd}u1`)}`, `=${JSON.stringify(`a${odd}${odd}u1`)}`])
  })

  test.each([
    ['a NUL', 'SELECT COUNT(*)\0FROM ev'],
    ['a NUL in a string', "SELECT COUNT(*) FROM ev WHERE user_id <> '\0'"],
    ['half of a character', "SELECT COUNT(*) FROM ev WHERE user_id <> '\ud83d'"],
  ])('refused with %s', async (_, sql) => {
    const [refusal] = await seen(benchOf(engine), sql)
    expect(refusal).toMatch(/^refused: The SQL holds/)
  })

  test('the same by db', async () => {
    const db = createDb({ sourceEngine: benchOf(engine).store, registry: registryOf({ sources, features: {} }) })
    for (const odd of ODD_BLANKS) {
      for (const sql of [
        `SELECT COUNT(*)${odd}FROM ev WHERE user_id =${odd}$1`,
        `SELECT COUNT(*) /* 取引${odd}件数 */ FROM ev WHERE user_id = ?`,
      ]) {
        for (const [i, time] of TIMES.entries()) {
          const at = { asOf: parseTime(time), mode: 'past', signal: new AbortController().signal, timeoutMs: 10_000 } as const
          expect([sql, (await db.query(sql, ['u1'], at)).rows]).toEqual([sql, [[i + 1]]])
        }
      }
    }
  })
})

test('a comment between two pieces of a string, which PostgreSQL does not take', async () => {
  const sql = "SELECT COUNT(*) FROM ev WHERE user_id = $user_id AND E'a' -- b\n '\\' x' <> ' FROM ev'"
  expect(await seen(duckdb, sql)).toEqual(['=1', '=2'])
  expect((await seen(postgres, sql))[0]).toMatch(/^refused: syntax error/)
})

test('a string that DuckDB would change is refused by it', async () => {
  const [refusal] = await seen(duckdb, "SELECT COUNT(*) FROM ev WHERE user_id <> E'\\'\u3000'")
  expect(refusal).toMatch(/^refused: A string with backslashes holds a Unicode blank/)
  expect(await seen(postgres, "SELECT COUNT(*) FROM ev WHERE user_id <> E'\\'\u3000'")).toEqual(['=1', '=2'])
})
