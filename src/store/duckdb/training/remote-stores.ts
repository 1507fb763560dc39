/**
 * Sources and history on another machine, for a workspace here. What is asked of it are rows: labels, and the recorded values of the labels' keys.
 * They are joined in the workspace's own engine, by the very statements of the laptop. Where there is much more recorded than asked for, the rows
 * are looked up over there instead. Features' SQL runs where the sources are, some rows at a time.
 */
import { join } from 'node:path'
import { DuckDBDataChunk, type DuckDBType, type DuckDBValue, VARCHAR } from '@duckdb/node-api'
import { type RunOptions, SqlError, SqlTimestamp, type TableColumn } from '../../ports/source-engine.ts'
import type { RecordedRequest, TextValues, TrainingEngine } from '../../ports/training-engine.ts'
import type { AsOfRequest } from '../../ports/training-store.ts'
import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { quoteName, quoteText } from '../sql.ts'
import type { RecordedSource } from './as-of-join.ts'
import { asOfValues, groupsOf, type HistoryAccess, heldOf, type SourcesAccess, type WorkspaceState } from './local-stores.ts'
import type { HeldValues } from './result.ts'
import { parquetOptions, recordedText } from './typed-values.ts'

const APPEND_ROWS = 2048
/** Keys whose recorded values are asked for at once, in chunks of the engine's results. */
const KEY_CHUNKS = 5

export function remoteSources(engine: TrainingEngine): SourcesAccess {
  return {
    async query({ sql, check }, { session, folder }, options) {
      const file = join(folder, 'queried.parquet')
      const answer = { columns: [] as readonly TableColumn[], rows: new TextTable(session, 'queried', 0) }
      await engine.query(sql, options, (columns) => {
        check(columns)
        const rows = new TextTable(session, 'queried', columns.length)
        Object.assign(answer, { columns, rows })
        return (batch) => rows.add(batch)
      })
      await answer.rows.make()
      const casts = await castsOf(session, answer.columns, options)
      await session.execute(
        `COPY (SELECT ${casts.join(', ')} FROM queried ORDER BY rowid) TO ${quoteText(file)} (${parquetOptions(answer.columns.length)}); DROP TABLE queried`,
        options,
      )
      return file
    },
    // Values of other engines become values of ours one by one, exactly as they do for requests.
    canCompute: () => false,
    compute: () => Promise.reject(new SqlError('internal', 'The sources are on another machine.', null)),
    deterministically: (work) => work(),
    copyRows: engine.copyRows,
  }
}

/** Rows of texts in the order in which they came. */
class TextTable {
  private readonly session: Session
  private readonly name: string
  private readonly width: number
  private isMade = false

  constructor(session: Session, name: string, width: number) {
    this.session = session
    this.name = name
    this.width = width
  }

  async add(rows: readonly TextValues[]): Promise<void> {
    await this.make()
    const appender = await this.session.connection.createAppender(this.name)
    const types = Array.from({ length: this.width }, (): DuckDBType => VARCHAR)
    for (let from = 0; from < rows.length; from += APPEND_ROWS) {
      const part = rows.slice(from, from + APPEND_ROWS)
      const chunk = DuckDBDataChunk.create(types, part.length)
      chunk.setColumns(types.map((_, i): DuckDBValue[] => part.map((row) => row[i] ?? null)))
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
  }

  /** Empty, where there are no rows. */
  async make(): Promise<void> {
    if (this.isMade) return
    this.isMade = true
    const columns = Array.from({ length: this.width }, (_, i) => `c${i} VARCHAR`)
    await this.session.execute(`CREATE OR REPLACE TABLE ${this.name} (${columns.join(', ')})`, ownDeadline())
  }
}

/** Types that mean the same here; what is not among them stays text. */
const TYPES: Readonly<Record<string, string>> = {
  BOOLEAN: 'BOOLEAN',
  SMALLINT: 'SMALLINT',
  INTEGER: 'INTEGER',
  BIGINT: 'BIGINT',
  OID: 'BIGINT',
  REAL: 'FLOAT',
  'DOUBLE PRECISION': 'DOUBLE',
  UUID: 'UUID',
  JSON: 'JSON',
  JSONB: 'JSON',
  DATE: 'DATE',
  TIME: 'TIME',
  TIMESTAMP: 'TIMESTAMP',
  'TIMESTAMP WITH TIME ZONE': 'TIMESTAMPTZ',
}
const MAX_DIGITS = 38

async function castsOf(session: Session, columns: readonly TableColumn[], options: RunOptions): Promise<string[]> {
  const casts: string[] = []
  for (const [i, { name, type }] of columns.entries()) {
    const to = type.startsWith('NUMERIC') ? await decimalType(session, `c${i}`, options) : TYPES[type]
    casts.push(`${to === undefined ? `c${i}` : `CAST(c${i} AS ${to})`} AS ${quoteName(name)}`)
  }
  return casts
}

/** As many digits as the numbers have, before and after the point. */
async function decimalType(session: Session, column: string, options: RunOptions): Promise<string> {
  const { rows } = await session.read(
    `SELECT COALESCE(bool_and(regexp_full_match(${column}, '-?[0-9]+(\\.[0-9]+)?')), TRUE),
       COALESCE(max(strlen(ltrim(split_part(${column}, '.', 1), '-'))), 1), COALESCE(max(strlen(split_part(${column}, '.', 2))), 0) FROM queried`,
    [],
    options,
  )
  const [areNumbers, whole, fraction] = [rows[0]?.[0], Number(rows[0]?.[1]), Number(rows[0]?.[2])]
  if (areNumbers === true && whole + fraction <= MAX_DIGITS) return `DECIMAL(${whole + fraction}, ${fraction})`
  // Fractions are rounded, as floats do; of two whole numbers must not become one.
  return areNumbers === true && fraction === 0 ? 'VARCHAR' : 'DOUBLE'
}

const RECORDED_COLUMNS = ['entity_key', 'value', 'event_us', 'available_us', 'created_us', 'seq', 'origin', 'f']
const RECORDED: RecordedSource = {
  from: () => {
    const times = ['event', 'available', 'created'].map(
      (name) => `make_timestamptz(CAST(c${RECORDED_COLUMNS.indexOf(`${name}_us`)} AS BIGINT))`,
    )
    return (
      `(SELECT CAST(c7 AS SMALLINT) AS f, c0 AS entity_key, c1 AS value, ${times[0]} AS event_timestamp, ${times[1]} AS available_at, ` +
      `${times[2]} AS created_at, CAST(c5 AS BIGINT) AS seq, c6 AS origin FROM recorded)`
    )
  },
}

/** A row looked up over there costs about as much as this many recorded rows that come over to be joined here (90 and 130 µs on a busy machine). */
const ROWS_PER_LOOK = 1
/** Features whose recorded values are here at once. */
const BROUGHT_FEATURES = 100
/** Rows looked up in one statement. */
const LOOK_ROWS = 10_000

/** @param rowsPerLook Another than the default by tests only. */
export function remoteHistory(engine: TrainingEngine, { pairsPerRow, rowsPerLook = ROWS_PER_LOOK }: RemoteTuning = {}): HistoryAccess {
  return {
    how: `as-of join over recorded values: each row looked up in ${engine.name}, or all brought over where fewer are recorded than rows are asked for`,
    hasHistory: (feature, fingerprint) => engine.hasHistory(feature, fingerprint),
    async asOf(requests, entity, state, options) {
      const held: HeldValues[] = []
      const brought: AsOfRequest[] = []
      for (const request of requests) {
        const count = await engine.recordedCount(request.feature, request.fingerprint, options)
        if (count >= rowsPerLook * state.rowCount)
          held[requests.indexOf(request)] = await lookUp(engine, request, { entity, state }, options)
        else brought.push(request)
      }
      for (let from = 0; from < brought.length; from += BROUGHT_FEATURES) {
        const some = brought.slice(from, from + BROUGHT_FEATURES)
        const joined = await bringOver(engine, some, { entity, state, pairsPerRow }, options)
        for (const [i, values] of joined.entries()) held[requests.indexOf(some[i] as AsOfRequest)] = values
      }
      return held
    },
  }
}

export interface RemoteTuning {
  readonly pairsPerRow?: number
  readonly rowsPerLook?: number
}

interface RemoteWork {
  readonly entity: number
  readonly state: WorkspaceState
  readonly pairsPerRow?: number | undefined
}

/** All that is recorded of the rows' keys comes here. */
async function bringOver(
  engine: TrainingEngine,
  requests: readonly AsOfRequest[],
  { entity, state, pairsPerRow }: RemoteWork,
  options: RunOptions,
): Promise<readonly HeldValues[]> {
  const { session } = state
  const table = new TextTable(session, 'recorded', RECORDED_COLUMNS.length)
  await table.make()
  try {
    const { from, to } = await bounds(state, options)
    await eachKeys(state, entity, options, async (keys) => {
      for (const [f, { feature, fingerprint, lookBack }] of requests.entries()) {
        const request: RecordedRequest = { feature, fingerprint, keys, from: lookBack === null ? null : from - lookBack, to }
        await engine.recorded(request, options, (rows) => table.add(rows.map((row) => [...row, String(f)])))
      }
    })
    const groups = groupsOf(requests, state)
    await asOfValues(session, { groups, entity, state, recorded: RECORDED, pairsPerRow }, options)
    return groups.flatMap(heldOf)
  } finally {
    await session.execute('DROP TABLE IF EXISTS recorded', ownDeadline())
  }
}

/** Each row is looked up there. */
async function lookUp(
  engine: TrainingEngine,
  request: AsOfRequest,
  { entity, state }: RemoteWork,
  options: RunOptions,
): Promise<HeldValues> {
  const name = `looked_${crypto.randomUUID().replaceAll('-', '')}`
  const table = new TextTable(state.session, name, 3)
  await table.make()
  for (let from = 0; from < state.rowCount; from += LOOK_ROWS) {
    const { rows } = await state.session.read(
      `SELECT __fabra_e${entity}_key, __fabra_as_of FROM read_parquet(${state.rows})
       WHERE __fabra_ord >= ${from} AND __fabra_ord < ${from + LOOK_ROWS} ORDER BY __fabra_ord`,
      [],
      options,
    )
    const keys = rows.map(([key]) => String(key))
    const times = rows.map(([, at]) => (at instanceof SqlTimestamp ? at.micros : Number.NaN))
    const found = await engine.asOf(request, { keys, times }, options)
    await table.add(found.map(([i, ...values]) => [String(from + Number(i)), ...values]))
  }
  const columns = `CAST(c0 AS BIGINT) AS __fabra_ord, make_timestamptz(CAST(c1 AS BIGINT)) AS e0, ${recordedText('c2', request.members)} AS v0`
  // Of thousands of features, tables would be all that memory holds.
  const file = quoteText(state.file('looked'))
  await state.session.execute(`COPY (SELECT ${columns} FROM ${name}) TO ${file} (${parquetOptions(3)}); DROP TABLE ${name}`, options)
  return { kind: 'recorded', from: `read_parquet(${file})`, f: 0 }
}

/** First and last time of the rows. */
async function bounds({ session, rows }: WorkspaceState, options: RunOptions): Promise<{ from: number; to: number }> {
  const found = await session.read(`SELECT min(__fabra_as_of), max(__fabra_as_of) FROM read_parquet(${rows})`, [], options)
  const [from, to] = found.rows[0] ?? []
  return { from: from instanceof SqlTimestamp ? from.micros : 0, to: to instanceof SqlTimestamp ? to.micros : 0 }
}

async function eachKeys(
  { session, rows }: WorkspaceState,
  entity: number,
  options: RunOptions,
  take: (keys: readonly string[]) => Promise<void>,
): Promise<void> {
  const keys = await session.open(`SELECT DISTINCT __fabra_e${entity}_key FROM read_parquet(${rows}) ORDER BY ALL`, [], options)
  for (let from = 0; from < keys.chunkCount; from += KEY_CHUNKS) {
    await take(keys.rows(from, Math.min(keys.chunkCount, from + KEY_CHUNKS)).map(([key]) => String(key)))
  }
}
