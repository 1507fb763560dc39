import { createPace } from '../../../collections/yielding.ts'
import {
  type ResultRows,
  type RowList,
  type RunOptions,
  type SourceEngine,
  SqlError,
  SqlTimestamp,
  type SqlValue,
  type TakeRows,
} from '../../ports/source-engine.ts'
import type { Parameter, Postgres, PostgresRows } from '../connection/postgres.ts'
import { CATALOGUE, findFunctions, findTypes, listTables } from './catalogue.ts'
import { createPostgresParser } from './parser.ts'
import { createResultTypes, type ResultTypes } from './result-types.ts'
import { type FileLoader, loadTables } from './source-tables.ts'
import { createListPlaces, createStatementCheck, readStatement } from './user-statement.ts'
import { toParameter } from './values.ts'

export interface PostgresSourceDependencies {
  /** Where users' SQL runs; its role need not be able to write. Closed with the store. */
  readonly reader: Postgres
  /** Makes the tables of sources that name their columns or a file. Not closed with the store. */
  readonly owner: Postgres
  /** Null: files are not loaded, so their tables must be there. */
  readonly loadFile: FileLoader | null
}

const TIME_WORD = /\b(?:now|today|yesterday|tomorrow)\b/i

/** Rows decoded without a look at the clock. */
const CHUNK = 500

/** For every statement of users, besides what the connection sets: compiling a plan takes longer than most of them run. */
const SETTINGS = { jit: 'off' } as const

/** User SQL on PostgreSQL: read-only, in UTC, one transaction a statement. */
export function createPostgresSourceEngine({ reader, owner, loadFile }: PostgresSourceDependencies): SourceEngine {
  const parser = createPostgresParser()
  const check = createStatementCheck(parser)
  const types = createResultTypes((oids) => findTypes(reader, oids))
  const run = async (text: string, parameters: readonly Parameter[], options: RunOptions, take: TakeRows): Promise<void> => {
    if (options.timeoutMs <= 0) throw new SqlError('timeout', 'The deadline had passed before the statement ran.', null)
    await decode(await reader.run(text, parameters, { ...options, readOnly: true, settings: SETTINGS }), types, take)
  }
  const describe = (text: string) => reader.transaction(CATALOGUE, (statements) => statements.describe(text))
  /** A parameter that says "now" would be the present wherever a time is expected. */
  const refuseTimeWords = async (text: string, parameters: readonly SqlValue[]): Promise<void> => {
    const saysNow = parameters.map((parameter) => typeof parameter === 'string' && TIME_WORD.test(parameter))
    if (!saysNow.includes(true)) return
    const described = await describe(text)
    const known = await types(described.parameters)
    const isTime = (oid: number | undefined) => /^(?:DATE|TIME|TSRANGE|TSTZRANGE)/.test(known.get(oid ?? 0)?.name ?? '')
    if (!described.parameters.some((oid, i) => saysNow[i] && isTime(oid))) return
    throw new SqlError('runtime', 'A word such as "now" is no time here: give the time itself.', null)
  }
  const listPlaces = createListPlaces(async (text) => {
    const { parameters } = await describe(text)
    const known = await types(parameters)
    return parameters.map((oid) => known.get(oid)?.name.endsWith('[]') === true)
  })
  /** Where a text is expected, the server would take a list for the text that it is written as, and find nothing. */
  const refuseLists = async (text: string, parameters: readonly SqlValue[]): Promise<void> => {
    if (!parameters.some(Array.isArray)) return
    const places = await listPlaces(text)
    const wrong = parameters.findIndex((parameter, i) => Array.isArray(parameter) && places[i] === false)
    if (wrong < 0) return
    throw new SqlError(
      'binding',
      `Parameter ${wrong + 1} is a list where the statement expects one value. A list goes with = ANY(?).`,
      null,
    )
  }
  const queryInto: SourceEngine['queryInto'] = async (take, text, parameters, options) => {
    const { parameterCount } = await check(text)
    if (parameterCount !== parameters.length) {
      throw new SqlError('binding', `The statement takes ${parameterCount} parameters, ${parameters.length} were given.`, null)
    }
    await refuseTimeWords(text, parameters)
    await refuseLists(text, parameters)
    await run(text, parameters.map(toParameter), options, take)
  }
  return {
    dialect: 'postgres',
    load: (sources) => loadTables({ owner, loadFile }, reader, sources),
    async parse(text) {
      const tree = await parser.parse(text)
      readStatement(tree)
      return tree
    },
    tables: () => listTables(reader),
    functions: (names) => findFunctions(reader, names),
    async prepare(text) {
      await check(text)
      const { parameters, columns } = await describe(text)
      const known = await types([...parameters, ...columns.map(({ type }) => type)])
      return {
        columns: columns.map(({ name, type }) => ({ name, type: known.get(type)?.name ?? 'UNKNOWN' })),
        parameters: parameters.map((type) => known.get(type)?.written ?? 'unknown'),
      }
    },
    async query(text, parameters, options) {
      let columns: ResultRows['columns'] = []
      const rows: ResultRows['rows'][number][] = []
      const take: TakeRows = (some, named) => {
        columns = named
        for (const row of some) rows.push(row)
      }
      await queryInto(take, text, parameters, options)
      return { columns, rows }
    },
    queryInto,
    async queryOver(take, text, rows, options) {
      await check(text)
      const prelude = rowListOf(rows)
      try {
        await run(prelude.text + text, prelude.parameters, options, take)
      } catch (error) {
        if (!(error instanceof SqlError) || error.position === null) throw error
        const position = error.position - prelude.text.length
        throw new SqlError(error.kind, error.message, position < 0 ? null : position, error)
      }
    },
    copies: null,
    close: () => reader.close(),
  }
}

/** Once for the whole statement: a list that was unfolded again for every row would cost its square. */
function rowListOf({ types, keys, asOf }: RowList): { readonly text: string; readonly parameters: readonly Parameter[] } {
  const names = types.map((_, i) => `__fabra_k${i}`)
  const lists = [...types, 'timestamptz'].map((type, i) => `$${i + 1}::${type}[]`)
  const text =
    `WITH __fabra_row AS MATERIALIZED (SELECT __fabra_number - 1 AS __fabra_ord, ${[...names, '__fabra_as_of'].join(', ')} ` +
    `FROM unnest(${lists.join(', ')}) WITH ORDINALITY AS __fabra_given(${[...names, '__fabra_as_of', '__fabra_number'].join(', ')}))\n`
  const times = asOf.map((micros) => toParameter(new SqlTimestamp(micros)) as string)
  return { text, parameters: [...keys.map((column) => [...column]), times] }
}

async function decode({ columns, rows }: PostgresRows, types: ResultTypes, take: TakeRows): Promise<void> {
  const known = await types(columns.map(({ type }) => type))
  const decoders = columns.map(({ type }) => known.get(type)?.decode ?? ((text: string): SqlValue => text))
  const decodeRow = (row: PostgresRows['rows'][number]) =>
    row.map((text, column) => (text === null ? null : (decoders[column]?.(text) ?? null)))
  const named = columns.map(({ name, type }) => ({ name, type: known.get(type)?.name ?? 'UNKNOWN' }))
  const pace = createPace()
  let from = 0
  do {
    const wait = pace()
    if (wait) await wait
    take(rows.slice(from, from + CHUNK).map(decodeRow), named)
    from += CHUNK
  } while (from < rows.length)
}
