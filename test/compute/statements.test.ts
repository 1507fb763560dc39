import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { openDuckdbStatements, openPostgresStatements } from '../support/statement-engines.ts'
import { tryStatements } from '../support/statements.ts'

const COUNT = Number(process.env['FABRA_TEST_STATEMENTS'] ?? 75)
const SEED = Number(process.env['FABRA_TEST_SEED'] ?? Date.now() % 1_000_000)
const LIMIT_MS = 180_000 + COUNT * 500

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
}, 180_000)
afterAll(() => server[Symbol.asyncDispose]())

test.each(['duckdb', 'postgres'])(
  'random statements with odd blanks, comments, names and strings see what plain SQL sees of truncated tables: %s',
  async (dialect) => {
    const engine = dialect === 'duckdb' ? await openDuckdbStatements() : await openPostgresStatements(server)
    try {
      const { statements, answers, refused, wrong } = await tryStatements(engine, COUNT, SEED)
      console.log(`${dialect}: ${statements} statements, ${answers} answers, seed ${SEED}`)
      expect(wrong).toEqual([])
      expect(refused).toEqual([])
      expect(answers).toBeGreaterThanOrEqual(statements)
    } finally {
      await engine.close()
    }
  },
  LIMIT_MS,
)
