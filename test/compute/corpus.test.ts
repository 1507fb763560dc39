import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Strategy } from '../../src/compute/sql/strategies.ts'
import { type BenchRow, type ComputeBench, type Defined, defined, hasItsOwn, openComputeBench } from '../support/compute-bench.ts'
import { corpus, corpusKeys, corpusQuestions, corpusSources, corpusTables, corpusTimes, type Shape } from './corpus.ts'
import { comparable, keepDigits, normalise } from './corpus-answers.ts'

type KeyName = keyof typeof corpusKeys

let bench: ComputeBench
let truncated: readonly DuckDBConnection[]
const strategies: readonly Strategy[] = ['set', 'rows', 'joined', 'sorted']
const setOf = new Map<string, Defined>()
const shapes = Object.entries(corpus).map(([name, shape]): [string, Shape] => [name, typeof shape === 'string' ? { sql: shape } : shape])
const idOf = (name: string) => `f${shapes.findIndex(([candidate]) => candidate === name)}`

beforeAll(async () => {
  bench = await openComputeBench()
  for (const { create } of corpusTables) await bench.execute(create)
  for (const [keyName, { key }] of Object.entries(corpusKeys) as [KeyName, (typeof corpusKeys)[KeyName]][]) {
    const mine = shapes.filter(([, shape]) => (shape.key ?? 'user') === keyName)
    const features = Object.fromEntries(mine.map(([name, { sql, type, columns }]) => [idOf(name), { sql, type, columns }]))
    const { registry, definitions } = await bench.define({ key, sources: corpusSources, features })
    for (const strategy of strategies) {
      const executor = createSqlExecutor({ sourceEngine: bench.store, definitions, strategy })
      setOf.set(`${keyName} ${strategy}`, defined(registry, definitions, executor))
    }
  }
  truncated = await truncatedCopies()
}, 180_000)
afterAll(() => bench.store.close())

test('every shape is accepted', () => {
  const problems = [...setOf]
    .filter(([name]) => name.endsWith(' set'))
    .map(([, set]) => set)
    .flatMap(({ definitions }) => definitions.problems)
  expect(problems.map(({ subject, message }) => `${nameOf(subject)}: ${message}`)).toEqual([])
  expect(shapes.length).toBeGreaterThanOrEqual(80)
  const plain = shapes.filter(([name]) => [...setOf.values()].some(({ definitions }) => definitions.get(idOf(name))?.plain))
  expect(plain.length).toBeGreaterThanOrEqual(15)
})

describe('set-based, row by row, joined, event-sorted and over truncated tables', () => {
  test.each(shapes.map(([name, shape]) => ({ name, shape })))(
    '$name',
    async ({ name, shape }) => {
      const keyName = shape.key ?? 'user'
      const { key, values } = corpusKeys[keyName]
      const { definitions } = setOf.get(`${keyName} set`) as Defined
      const questions: BenchRow[] = corpusQuestions(
        shapes.findIndex(([other]) => other === name),
        values,
      )
      const columns = definitions.get(idOf(name))?.columns ?? []
      const plain = await Promise.all(
        questions.map(([value, time]) => {
          const connection = truncated[corpusTimes.indexOf(String(time))] as DuckDBConnection
          return plainAnswer(connection, shape, Object.keys(key), value as readonly string[], String(time), columns)
        }),
      )
      for (const strategy of strategies.filter((one) => hasItsOwn(one, definitions.get(idOf(name))))) {
        const { compute } = setOf.get(`${keyName} ${strategy}`) as Defined
        // A statement for each question: every third one, since they take most of the time.
        const asked = questions.map((_, i) => strategy !== 'rows' || i % 3 === 0)
        const answers = await compute(
          idOf(name),
          questions.filter((_, i) => asked[i]),
        )
        expect({ strategy, answers: answers.map(comparable) }).toEqual({ strategy, answers: plain.filter((_, i) => asked[i]) })
      }
    },
    180_000,
  )
})

/** One database per time, holding only the rows that were there. Shares nothing with the rewrite. */
async function truncatedCopies(): Promise<DuckDBConnection[]> {
  const instance = await DuckDBInstance.create(':memory:')
  const connections: DuckDBConnection[] = []
  for (const [i, time] of corpusTimes.entries()) {
    const connection = await instance.connect()
    await connection.run(`SET TimeZone = 'UTC'; ATTACH ':memory:' AS t${i}; USE t${i}`)
    for (const { create, name, visible } of corpusTables) {
      await connection.run(create)
      const condition = visible.replaceAll(':t', `TIMESTAMPTZ '${time}'`).replaceAll('main_copy.', '')
      await connection.run(
        `CREATE TABLE kept AS SELECT * FROM ${name} WHERE ${condition}; DELETE FROM ${name}; INSERT INTO ${name} SELECT * FROM kept; DROP TABLE kept`,
      )
    }
    connections.push(connection)
  }
  return connections
}

async function plainAnswer(
  connection: DuckDBConnection,
  { sql, plain = sql }: Shape,
  keyNames: readonly string[],
  key: readonly string[],
  time: string,
  columns: readonly { readonly name: string | null; readonly type: string; readonly index: number }[],
): Promise<unknown> {
  let text = plain.replace(/now\(\)/gi, `TIMESTAMPTZ '${time}'`).replace(/;\s*(--.*)?$/, '')
  for (const [i, name] of keyNames.entries()) {
    const literal = `'${(key[i] ?? '').replaceAll("'", "''")}'`
    const type = name === 'merchant_id' ? 'BIGINT' : name === 'device' ? 'UUID' : 'VARCHAR'
    text = text.replaceAll(`$${name}`, `CAST(${literal} AS ${type})`)
  }
  const result = await connection.runAndReadAll(`SELECT CAST(to_json(__row) AS VARCHAR) FROM (\n${text}\n) __row`)
  const rows = result.getRows()
  if (rows.length === 0) return 'missing'
  if (rows.length > 1) return 'not_one_row'
  const found = Object.values(JSON.parse(String(rows[0]?.[0]), keepDigits) as Record<string, unknown>)
  return columns.map(({ index, type }) => normalise(found[index], type))
}

function nameOf(subject: string): string {
  const id = /"f(\d+)"/.exec(subject)?.[1]
  return id === undefined ? subject : (shapes[Number(id)]?.[0] ?? subject)
}
