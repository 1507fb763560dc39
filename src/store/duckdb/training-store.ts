import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  BIGINT,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  DuckDBTimestampTZValue,
  TIMESTAMPTZ,
  VARCHAR,
} from '@duckdb/node-api'
import { entityKey } from '../../definition/entity-key.ts'
import { type RunOptions, SqlError, SqlTimestamp, type TableColumn } from '../source-store.ts'
import type { LabelRow, RowNeeds, TextRow, TrainingDesk, TrainingStore, ValuesId } from '../training-store.ts'
import { type Database, ownDeadline } from './database.ts'
import { createSession, type Session } from './session.ts'
import { CATALOG, DROP_ROW_TABLE, quoteName, quoteText } from './sql.ts'
import { dropHistoryTables, makeAllSteps, stepsOfRows } from './training-history.ts'
import { inputOf } from './training-inputs.ts'
import { readLabels } from './training-labels.ts'
import { type HeldValues, hashSelect, resultSelect, type WrittenFile, writeStatement, writtenSelect } from './training-output.ts'
import { writeRows } from './training-rows.ts'
import { canType, rowTableFrom, typedValues } from './training-sql.ts'

/** Rows in one statement. More only makes larger what the engine holds at once. */
const STATEMENT_ROWS = 1_000_000
/** Pairs of a row and a recorded value of its key that cost less than putting the row in order. */
const PAIRS_PER_ROW = 30
const APPEND_ROWS = 2048
/** Features with recorded values in one statement, whose steps it holds all at once. */
const STEPPED_FEATURES = 10
/** What the desk's own engine may hold before it spills to disk. */
const DESK_MEMORY = '1GiB'

/**
 * Training sets on the laptop's engine: its folders lie where that engine may read and write files, and nowhere else.
 * @param pairsPerRow From how many recorded values per row on rows are put in order; another than the default by tests only.
 */
export function createDuckdbTrainingStore(database: Database, pairsPerRow = PAIRS_PER_ROW): TrainingStore {
  return {
    async open() {
      const folder = join(database.loadDir, `training-${crypto.randomUUID()}`)
      await mkdir(folder, { recursive: true, mode: 0o700 })
      try {
        return new Desk(database, folder, await openEngine(folder), pairsPerRow)
      } catch (error) {
        await rm(folder, { recursive: true, force: true })
        throw error
      }
    },
  }
}

interface Engine {
  readonly instance: DuckDBInstance
  readonly session: Session
}

/** An engine that holds nothing, and sees the desk's folder alone. */
async function openEngine(folder: string): Promise<Engine> {
  const instance = await DuckDBInstance.create(':memory:', { autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' })
  const connection: DuckDBConnection = await instance.connect()
  await connection.run(`SET TimeZone = 'UTC'; SET errors_as_json = true; SET memory_limit = '${DESK_MEMORY}';
    SET temp_directory = ${quoteText(join(folder, 'spill'))}; SET allowed_directories = [${quoteText(`${folder}/`)}];
    SET enable_external_access = false; SET lock_configuration = true`)
  return { instance, session: createSession(connection) }
}

class Desk implements TrainingDesk {
  readonly folder: string
  private readonly database: Database
  private readonly engine: Engine
  private readonly pairsPerRow: number
  private readonly held: HeldValues[] = []
  private labels: readonly TableColumn[] = []
  private needs: RowNeeds = { entities: [], timestamp: '', timezone: null }
  private rowCount = 0

  constructor(database: Database, folder: string, engine: Engine, pairsPerRow: number) {
    this.pairsPerRow = pairsPerRow
    this.database = database
    this.folder = folder
    this.engine = engine
  }

  async readLabels(
    labels: Parameters<TrainingDesk['readLabels']>[0],
    asText: boolean,
    options: RunOptions,
  ): Promise<readonly TableColumn[]> {
    const place = { session: this.engine.session, database: this.database, folder: this.folder, asText }
    this.labels = await readLabels(labels, place, options)
    return this.labels
  }

  async prepareRows(needs: RowNeeds, options: RunOptions): Promise<number> {
    this.needs = needs
    this.rowCount = await writeRows(this.engine.session, join(this.folder, 'rows.parquet'), needs, this.labels, options)
    return this.rowCount
  }

  async rows({ from, to, entity, inputs }: Parameters<TrainingDesk['rows']>[0]): Promise<LabelRow[]> {
    const asked = this.needs.entities[entity]
    if (!asked) return []
    const keys = asked.key.map((_, i) => `CAST(r.__fabra_e${entity}_k${i} AS VARCHAR)`)
    const given = inputs.map((input) => `l.${quoteName(input)}`)
    const labels = inputs.length === 0 ? '' : ' JOIN labels AS l USING (__fabra_ord)'
    const { rows, columns } = await this.engine.session.read(
      `SELECT ${['__fabra_ord', 'r.__fabra_as_of', ...keys, ...given].join(', ')} FROM read_parquet(${this.rowsPath})  AS r${labels}
       WHERE __fabra_ord >= ${from} AND __fabra_ord < ${to} ORDER BY __fabra_ord`,
      [],
      ownDeadline(),
    )
    return rows.map((row) => {
      const values = row.slice(2 + keys.length)
      return {
        ord: Number(row[0]),
        asOf: row[1] instanceof SqlTimestamp ? row[1].micros : Number.NaN,
        key: entityKey(asked, row.slice(2, 2 + keys.length)),
        inputs: Object.fromEntries(inputs.map((input, i) => [input, inputOf(values[i] ?? null, columns[2 + keys.length + i]?.type ?? '')])),
      }
    })
  }

  canCompute(columns: Parameters<TrainingDesk['canCompute']>[0]): boolean {
    return columns.every(({ type, sqlType }) => canType(type, sqlType))
  }

  async compute(question: Parameters<TrainingDesk['compute']>[0], options: RunOptions): Promise<ValuesId> {
    const id = this.held.length
    const keyCount = this.needs.entities[question.entity]?.key.length ?? 0
    const files: string[] = []
    await this.database.readers.use(options, async (session, left) => {
      try {
        for (let from = 0; from < Math.max(1, this.rowCount); from += STATEMENT_ROWS) {
          const file = quoteText(join(this.folder, `values-${id}-${files.length}.parquet`))
          await session.execute(rowTableFrom(this.rowsPath, question.entity, keyCount, { from, to: from + STATEMENT_ROWS }), left)
          await session.execute(
            `COPY (${typedValues(question.text, question.columns)}) TO ${file} (FORMAT parquet, COMPRESSION snappy)`,
            left,
          )
          files.push(file)
        }
      } finally {
        await session.execute(DROP_ROW_TABLE, ownDeadline())
      }
    })
    const from = `read_parquet([${files.join(', ')}])`
    if (!question.alwaysOneRow) await this.refuseRepeats(from, options)
    return this.hold({ kind: 'typed', from, f: 0 })
  }

  private async refuseRepeats(from: string, options: RunOptions): Promise<void> {
    const { rows } = await this.engine.session.read(`SELECT COUNT(*) > COUNT(DISTINCT __fabra_ord) FROM ${from}`, [], options)
    if (rows[0]?.[0] === true) throw new SqlError('runtime', 'A row has more than one answer.', null)
  }

  async asOf(questions: Parameters<TrainingDesk['asOf']>[0], entity: number, options: RunOptions): Promise<readonly ValuesId[]> {
    return this.database.readers.use(options, async (session, left) => {
      try {
        const features = await makeAllSteps(
          session,
          { rows: this.rowsPath, entity, questions, isLight: (pairs) => pairs <= this.pairsPerRow * this.rowCount },
          left,
        )
        const ids: ValuesId[] = []
        for (let from = 0; from < features.length; from += STEPPED_FEATURES) {
          const some = features.slice(from, from + STEPPED_FEATURES)
          const file = quoteText(join(this.folder, `recorded-${this.held.length}.parquet`))
          await session.execute(`COPY (${stepsOfRows(some)}) TO ${file} (FORMAT parquet, COMPRESSION snappy)`, left)
          for (const { f } of some) ids.push(this.hold({ kind: 'recorded', from: `read_parquet(${file})`, f }))
        }
        return ids
      } finally {
        await session.execute(dropHistoryTables(questions.length), ownDeadline())
      }
    })
  }

  async collect(columnCount: number): ReturnType<TrainingDesk['collect']> {
    const { session } = this.engine
    const name = `values_${this.held.length}`
    const columns = Array.from({ length: columnCount }, (_, i) => `c${i} VARCHAR`)
    await session.execute(
      `CREATE TABLE ${name} (${['__fabra_ord BIGINT', '__fabra_event_at TIMESTAMPTZ', ...columns].join(', ')})`,
      ownDeadline(),
    )
    const id = this.hold({ kind: 'texts', from: name, f: 0 })
    return { id, add: (rows) => appendTexts(session, name, columnCount, rows) }
  }

  deterministically<T>(work: () => Promise<T>): Promise<T> {
    return this.database.onOneThread(work)
  }

  async hasHistory(feature: string, fingerprint: string): Promise<boolean> {
    const { rows } = await this.database.readers.use(ownDeadline(), (session, left) =>
      session.read(
        `SELECT 1 FROM ${CATALOG}.fabra.feature_history WHERE feature = $1 AND fingerprint = $2 LIMIT 1`,
        [feature, fingerprint],
        left,
      ),
    )
    return rows.length > 0
  }

  async write(output: Parameters<TrainingDesk['write']>[0], options: RunOptions): ReturnType<TrainingDesk['write']> {
    const { session } = this.engine
    const joined = join(this.folder, 'joined.parquet')
    const held = (values: ValuesId) => this.held[values] ?? { kind: 'typed' as const, from: 'nothing', f: 0 }
    const select = resultSelect(this.rowsPath, this.labels, output.features, held, output.columns)
    await session.execute(
      `COPY (SELECT * EXCLUDE (__fabra_ord) FROM (${select})) TO ${quoteText(joined)} (FORMAT parquet, COMPRESSION snappy)`,
      options,
    )
    const described = await session.read(
      `SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet(${quoteText(joined)}))`,
      [],
      options,
    )
    const columns = described.rows.map(([name, type]) => ({ name: String(name), type: String(type) }))
    const names = columns.map((column) => column.name)
    const hash = String((await session.read(hashSelect(joined, names), [], options)).rows[0]?.[0])
    const path = join(this.folder, `result.${output.format}`)
    await this.writeFile(
      writtenSelect(joined, columns, output.format),
      { path, format: output.format, metadata: output.metadata(hash) },
      options,
    )
    await chmod(path, 0o600)
    await rm(joined)
    return { path, hash }
  }

  private async writeFile(select: string, target: WrittenFile, options: RunOptions): Promise<void> {
    const { session } = this.engine
    if (target.format !== 'arrow') return session.execute(writeStatement(select, { ...target, format: target.format }), options)
    const { writeArrowFile } = await import('./arrow-file.ts')
    await writeArrowFile(session, select, target, options)
  }

  async close(): Promise<void> {
    this.engine.session.close()
    this.engine.instance.closeSync()
    await rm(this.folder, { recursive: true, force: true })
  }

  private get rowsPath(): string {
    return quoteText(join(this.folder, 'rows.parquet'))
  }

  private hold(values: HeldValues): ValuesId {
    return this.held.push(values) - 1
  }
}

async function appendTexts(session: Session, table: string, columnCount: number, rows: readonly TextRow[]): Promise<void> {
  const appender = await session.connection.createAppender(table)
  const types = [BIGINT, TIMESTAMPTZ, ...Array.from({ length: columnCount }, () => VARCHAR)]
  for (let from = 0; from < rows.length; from += APPEND_ROWS) {
    const part = rows.slice(from, from + APPEND_ROWS)
    const chunk = DuckDBDataChunk.create(types, part.length)
    chunk.setColumns([
      part.map((row) => BigInt(row.ord)),
      part.map((row) => new DuckDBTimestampTZValue(BigInt(row.eventAt))),
      ...Array.from({ length: columnCount }, (_, i) => part.map((row) => row.texts[i] ?? 'null')),
    ])
    appender.appendDataChunk(chunk)
  }
  appender.closeSync()
}
