/**
 * Random statements through the gate: the oracle's shapes with odd things strewn in, over random tables, against the plain text over tables that
 * hold only what was visible. FABRA_TEST_STATEMENTS sets how many, FABRA_TEST_SEED repeats a run.
 */
import * as fc from 'fast-check'
import type { Computed } from '../../src/compute/executor.ts'
import { sqlValueText } from '../../src/compute/sql/result-values.ts'
import { createSqlDefinitions, type SqlDefinition } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { KeyType, Source } from '../../src/definition/model.ts'
import { formatTime } from '../../src/definition/time.ts'
import type { SourceEngine, SqlValue } from '../../src/store/ports/source-engine.ts'
import { defined, registryOf } from './compute-bench.ts'
import { type OracleRow, type OracleSource, type SeenRow, visibleRows } from './oracle.ts'
import { type Case, cases, type KeyKind } from './oracle-cases.ts'
import { written } from './oracle-shapes.ts'
import { diceOf, strewn } from './strewn.ts'

export interface StatementEngine {
  readonly store: SourceEngine
  /** Where the plain texts run. */
  readonly plain: SourceEngine
  /** Makes the tables anew. */
  fill(world: Case): Promise<void>
  /** The same with rows as a query may see them. */
  fillPlain(world: Case, seen: { readonly events: readonly SeenRow[]; readonly facts: readonly SeenRow[] }): Promise<void>
  /** The oracle's text in this dialect. */
  readonly inDialect: (sql: string) => string
}

/** Statements per feature of a world: each strewn otherwise. */
const VARIANTS = 4
const MOMENTS = 2

export const KEY_COLUMNS: Readonly<Record<KeyKind, Readonly<Record<string, KeyType>>>> = {
  string: { user_id: 'string' },
  int: { account: 'int' },
  uuid: { device: 'uuid' },
  pair: { user_id: 'string', merchant_id: 'int' },
}

export interface Tally {
  statements: number
  answers: number
  /** Not taken, with the first reason. */
  refused: string[]
  /** Answered otherwise than over truncated tables. */
  wrong: string[]
}

export async function tryStatements(engine: StatementEngine, count: number, seed: number): Promise<Tally> {
  const tally: Tally = { statements: 0, answers: 0, refused: [], wrong: [] }
  for (let lot = 0; tally.statements < count; lot++) {
    for (const [i, world] of fc.sample(cases, { numRuns: 50, seed: seed + lot }).entries()) {
      if (tally.statements >= count) break
      await tryWorld(engine, world, tally, seed + lot * 1_000 + i)
    }
  }
  return tally
}

async function tryWorld(engine: StatementEngine, world: Case, tally: Tally, seed: number): Promise<void> {
  await engine.fill(world)
  const dice = diceOf(seed * 7_919 + 1)
  const columnsOf = (name: keyof typeof written) => ('columns' in written[name] ? written[name].columns : undefined)
  const texts = world.shapes.flatMap((draw) => {
    const sql = engine.inDialect(written[draw.shape].sql((alias) => keyCondition(world, alias), draw))
    return Array.from({ length: VARIANTS }, () => ({ sql, strewn: strewn(sql, dice), columns: columnsOf(draw.shape) }))
  })
  const features = Object.fromEntries(
    texts.map((text, i) => [`f${i}`, { sql: text.strewn, ...(text.columns ? { columns: text.columns } : { type: 'json' as const }) }]),
  )
  const sources = { events: settingsOf(world.events), facts: settingsOf(world.facts) }
  const registry = registryOf({ key: KEY_COLUMNS[world.keyKind], sources, features })
  const definitions = await createSqlDefinitions(registry, engine.store)
  const asked = [...new Map(world.questions.map((question) => [question.t, question])).values()].slice(0, MOMENTS)
  const answers = new Map<number, readonly Computed[]>()
  for (const [i, text] of texts.entries()) {
    tally.statements++
    const problem = definitions.problems.find(({ subject }) => subject === `feature "f${i}"`)
    if (problem) {
      tally.refused.push(`${problem.message}\n${JSON.stringify(text.strewn)}`)
      continue
    }
    const executor = createSqlExecutor({ sourceEngine: engine.store, definitions, strategy: i % 2 === 0 ? 'set' : 'rows' })
    const questions = asked.map(({ key, t }) => [key, t] as const)
    answers.set(i, await defined(definitions.registry, definitions, executor).compute(`f${i}`, questions))
  }
  for (const [q, { key, t }] of asked.entries()) {
    await engine.fillPlain(world, { events: visibleRows(world.events, t), facts: visibleRows(world.facts, t) })
    for (const [i, text] of texts.entries()) {
      const [answer, definition] = [answers.get(i)?.[q], definitions.get(`f${i}`)]
      if (!answer || !definition) continue
      tally.answers++
      const wanted = await plainAnswer(
        engine.plain,
        plainText(world, engine.store.dialect === 'postgres' ? named(text.sql) : text.sql, key, t),
        definition,
      )
      const got = shortOf(answer)
      if (!isSame(wanted, got)) tally.wrong.push(`${JSON.stringify(text.strewn)} at ${t} for ${JSON.stringify(key)}: ${got}, not ${wanted}`)
    }
  }
}

function keyCondition(world: Case, alias: string): string {
  const names = Object.keys(KEY_COLUMNS[world.keyKind])
  return names.map((name, i) => `${alias}.k${i} = $${name}`).join(' AND ')
}

/** PostgreSQL before 16 wants a name for a subquery in FROM. */
function named(sql: string): string {
  return /^SELECT \w+\(\w+\) FROM \(.*\)$/.test(sql) ? `${sql} AS q` : sql
}

const SQL_TYPES: Readonly<Record<KeyType, string>> = { string: 'VARCHAR', int: 'BIGINT', uuid: 'UUID' }

function plainText(world: Case, sql: string, key: readonly string[], t: number): string {
  const present = `CAST('${formatTime(t)}' AS TIMESTAMPTZ)`
  const timed = sql.replace(/NOW\(\)|now \( \)|CURRENT_TIMESTAMP|transaction_timestamp\(\)/g, () => present)
  return Object.entries(KEY_COLUMNS[world.keyKind]).reduce(
    (text, [name, type], i) => text.replaceAll(`$${name}`, () => `CAST('${(key[i] ?? '').replaceAll("'", "''")}' AS ${SQL_TYPES[type]})`),
    timed,
  )
}

async function plainAnswer(store: SourceEngine, text: string, { columns }: SqlDefinition): Promise<string> {
  const { rows } = await store.query(text, [], { signal: new AbortController().signal, timeoutMs: 30_000 })
  const [row] = rows
  if (rows.length > 1) return 'not_one_row'
  if (!row) return 'missing'
  return columns.map(({ type, sqlType, index }) => textOf(() => sqlValueText(type, row[index] as SqlValue, sqlType))).join(' ')
}

function textOf(read: () => string): string {
  try {
    return read()
  } catch {
    return 'wrong_type'
  }
}

function shortOf(answer: Computed): string {
  if (answer.kind === 'value') return answer.texts.join(' ')
  return answer.kind === 'missing' ? 'missing' : answer.error.code
}

function isSame(wanted: string, got: string): boolean {
  if (wanted === got || (wanted.includes('wrong_type') && got === 'wrong_type')) return true
  const [a, b] = [Number(wanted), Number(got)]
  return wanted !== '' && got !== '' && Math.abs(a - b) <= 1e-9 * Math.abs(a)
}

export function settingsOf(source: OracleSource): Partial<Source> {
  if (!source.timed) return { static: true }
  return {
    timestamp: 'ts',
    delay: source.delay,
    timezone: source.zone,
    available: source.available ? 'seen' : null,
    until: source.until ? 'until' : null,
    id: source.id ? 'event_id' : null,
  }
}

/** Rows as a query sees them, to be put into a table. */
export function asRows(seen: readonly SeenRow[]): OracleRow[] {
  return seen.map((row) => ({ ...row, available: null, until: null, id: null }))
}
