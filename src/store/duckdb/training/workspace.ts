/** Where one training set is made: a folder, and an engine that sees nothing else. */
import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { Micros } from '../../../clock.ts'
import { entityKey } from '../../../definition/entity-key.ts'
import { type RunOptions, SqlTimestamp, type TableColumn } from '../../ports/source-engine.ts'
import type { Collected, CollectRequest, LabelRow, RowNeeds, TrainingWorkspace, ValuesId } from '../../ports/training-store.ts'
import { ownDeadline } from '../connection/database.ts'
import { createSession, type Session } from '../connection/session.ts'
import { quoteName, quoteText } from '../sql.ts'
import { CollectedValues } from './collected-values.ts'
import { type Counted, countValues, keysOfRows, rowsEarlierThan, rowsLaterThan } from './column-counts.ts'
import { type CopiedSources, copySources } from './copied-sources.ts'
import { makeFreshUntilTables } from './fresh-until.ts'
import { inputOf } from './label-inputs.ts'
import { writeRows } from './label-keys.ts'
import { type ReadLabels, readLabels, sampleLabels } from './labels.ts'
import type { HistoryAccess, LabelsQuery, SourcesAccess, WorkspaceState } from './local-stores.ts'
import { tellingOfMemory, WORKSPACE_MEMORY } from './memory.ts'
import { type HeldValues, resultSelect } from './result.ts'
import { writeSet } from './result-file.ts'
import { createResumeLog, KEEP_NOTHING, type KeptFilesOptions, type ResumeLog } from './resume/steps.ts'
import { sampleValues } from './value-samples.ts'
import { isWide, wideSelect } from './wide.ts'

/** Where what training sets are made of is, and where they are made. */
export interface TrainingAccess {
  readonly sources: SourcesAccess
  readonly history: HistoryAccess
  /** The workspaces' folders are made in it. */
  readonly folder: string
  /** Null where it cannot be told whether sources and history are what they were. */
  readonly kept: KeptFilesOptions | null
  /** Bytes that the engine of a workspace may hold before it spills to disk. */
  readonly memory: number | undefined
}

export class DuckdbTrainingWorkspace implements TrainingWorkspace {
  readonly folder: string
  private readonly access: TrainingAccess
  private readonly engine: Engine
  private readonly held: HeldValues[] = []
  private resumeLog: ResumeLog = KEEP_NOTHING
  private labels: ReadLabels = { columns: [], file: '' }
  private areCsv = false
  private needs: RowNeeds = { entities: [], timestamp: '', timezone: null }
  private rowCount = 0
  private copied: CopiedSources | undefined
  sampled: TrainingWorkspace['sampled'] = null

  /** @param folder Made for it, and removed with it. */
  static async open(access: TrainingAccess, folder: string): Promise<DuckdbTrainingWorkspace> {
    return new DuckdbTrainingWorkspace(access, folder, await openEngine(folder, access.memory ?? WORKSPACE_MEMORY))
  }

  private constructor(access: TrainingAccess, folder: string, engine: Engine) {
    this.access = access
    this.folder = folder
    this.engine = engine
  }

  async readLabels(
    labels: Parameters<TrainingWorkspace['readLabels']>[0],
    asText: boolean,
    options: RunOptions,
    sample: Parameters<TrainingWorkspace['readLabels']>[3] = null,
  ): Promise<readonly TableColumn[]> {
    const { session } = this.engine
    const query = (asked: LabelsQuery, left: RunOptions) => this.access.sources.query(asked, this.state, left)
    const place = { session, folder: this.folder, asText, query }
    this.areCsv = 'format' in labels && labels.format === 'csv'
    this.labels = await readLabels(labels, place, options)
    if (sample && this.labels.columns.some(({ name }) => name === sample.by)) {
      const { read, taken } = await sampleLabels(this.labels, { ...place, ...sample }, options)
      this.labels = read
      this.sampled = taken
    }
    return this.labels.columns
  }

  async prepareRows(needs: RowNeeds, options: RunOptions): Promise<number> {
    this.needs = needs
    const wanted = { ...needs, isCsv: this.areCsv }
    this.rowCount = await writeRows(this.engine.session, join(this.folder, 'rows.parquet'), wanted, this.labels.columns, options)
    return this.rowCount
  }

  async rows({ from, to, entity, inputs }: Parameters<TrainingWorkspace['rows']>[0]): Promise<LabelRow[]> {
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

  canCompute(columns: Parameters<TrainingWorkspace['canCompute']>[0]): boolean {
    return this.access.sources.canCompute(columns)
  }

  async compute(request: Parameters<TrainingWorkspace['compute']>[0], options: RunOptions): Promise<ValuesId> {
    return this.hold(await this.access.sources.compute(request, this.state, options))
  }

  get bring(): TrainingWorkspace['bring'] {
    const { sources, memory = WORKSPACE_MEMORY } = this.access
    const { copyRows } = sources
    if (copyRows === null) return null
    return async (wanted, values, options) => {
      const copied = await copySources(wanted, { state: this.state, copyRows, memory, values }, options)
      if (typeof copied === 'string') return copied
      this.copied = copied
      const compute: TrainingWorkspace['compute'] = async (request, left) => this.hold(await copied.compute(request, this.state, left))
      return { engine: copied.engine, canCompute: copied.canCompute, compute }
    }
  }

  get historyHow(): string {
    return this.access.history.how
  }

  async asOf(requests: Parameters<TrainingWorkspace['asOf']>[0], entity: number, options: RunOptions): Promise<readonly ValuesId[]> {
    const held = await this.access.history.asOf(requests, entity, this.state, options)
    return held.map((values) => this.hold(values))
  }

  without(values: ValuesId, others: ValuesId): ValuesId {
    const held = this.heldAs(values)
    return this.hold({
      ...held,
      from: `(SELECT v.* FROM ${held.from} AS v ANTI JOIN ${this.heldAs(others).from} AS o USING (__fabra_ord))`,
    })
  }

  async collect(request: CollectRequest, options: RunOptions): Promise<Collected> {
    const { entity, inputs, reads, columnCount } = request
    const step = await this.resumeLog.begin({ request, entity, inputs, reads, features: 1 }, options)
    const { session } = this.engine
    const file = () => this.file('collected')
    const values = new CollectedValues({ session, table: `values_${this.held.length}`, columnCount, step, file, options })
    await values.begin()
    const held: HeldValues = {
      kind: 'texts',
      get from() {
        return values.from
      },
      f: 0,
    }
    return { id: this.hold(held), goOn: (from) => values.goOn(from), add: (rows, to) => values.add(rows, to), end: () => values.end() }
  }

  async resume(asked: string, fresh: boolean, options: RunOptions): Promise<void> {
    const { kept } = this.access
    if (kept === null) return
    const keyCounts = this.needs.entities.map((entity) => entity.key.length)
    const rows = { session: this.engine.session, rows: this.rowsPath, rowCount: this.rowCount, labels: this.labels.columns, keyCounts }
    this.resumeLog = await createResumeLog(kept, rows, { asked, fresh }, options)
  }

  get resumed(): number {
    return this.resumeLog.taken
  }

  delivered(): Promise<void> {
    return this.resumeLog.remove()
  }

  deterministically<T>(work: () => Promise<T>): Promise<T> {
    return this.access.sources.deterministically(work)
  }

  hasHistory(feature: string, fingerprint: string): Promise<boolean> {
    return this.access.history.hasHistory(feature, fingerprint)
  }

  async write(output: Parameters<TrainingWorkspace['write']>[0], options: RunOptions): ReturnType<TrainingWorkspace['write']> {
    const held = (values: ValuesId) => this.heldAs(values)
    const { session } = this.engine
    const freshUntil = await makeFreshUntilTables(session, output, held, options)
    const wide = { session, rows: this.rowsPath, labels: this.labels, file: (name: string) => this.file(name), held, freshUntil }
    const rows = isWide(wide, output)
      ? `(${await wideSelect(wide, output, options)})`
      : `(SELECT * EXCLUDE (__fabra_ord) FROM (${resultSelect(this.rowsPath, this.labels.columns, output.features, held, output.columns, freshUntil)}))`
    const { format, metadata } = output
    const path = join(this.folder, `result.${format}`)
    const hash = await writeSet(session, rows, { path, format, metadata, types: output.types }, options)
    await chmod(path, 0o600)
    return { path, hash }
  }

  counts(output: Counted, options: RunOptions): ReturnType<TrainingWorkspace['counts']> {
    return countValues(this.engine.session, output, (values) => this.heldAs(values), options)
  }

  someValues(output: Counted & { readonly most: number }, options: RunOptions): ReturnType<TrainingWorkspace['someValues']> {
    return sampleValues(this.engine.session, output, (values) => this.heldAs(values), options)
  }

  laterThan(time: Micros, options: RunOptions): ReturnType<TrainingWorkspace['laterThan']> {
    return rowsLaterThan(this.engine.session, this.rowsPath, time, options)
  }

  earlierThan(time: Micros, options: RunOptions): ReturnType<TrainingWorkspace['earlierThan']> {
    return rowsEarlierThan(this.engine.session, this.rowsPath, time, options)
  }

  someKeys(asked: Parameters<TrainingWorkspace['someKeys']>[0], options: RunOptions): Promise<readonly string[]> {
    return keysOfRows(this.engine.session, this.rowsPath, asked, options)
  }

  async close(): Promise<void> {
    this.resumeLog.close()
    await this.copied?.close()
    this.engine.session.close()
    this.engine.instance.closeSync()
    await rm(this.folder, { recursive: true, force: true })
  }

  private get state(): WorkspaceState {
    return {
      folder: this.folder,
      session: this.engine.session,
      resumeLog: this.resumeLog,
      file: (name) => this.file(name),
      rows: this.rowsPath,
      rowCount: this.rowCount,
      keyCount: (entity) => this.needs.entities[entity]?.key.length ?? 0,
    }
  }

  private file(name: string): string {
    return join(this.folder, `${name}-${crypto.randomUUID()}.parquet`)
  }

  private get rowsPath(): string {
    return quoteText(join(this.folder, 'rows.parquet'))
  }

  private heldAs(values: ValuesId): HeldValues {
    return this.held[values] ?? { kind: 'typed', from: 'nothing', f: 0 }
  }

  private hold(values: HeldValues): ValuesId {
    return this.held.push(values) - 1
  }
}

interface Engine {
  readonly instance: DuckDBInstance
  readonly session: Session
}

/** An engine that holds nothing, and sees the workspace's folder alone. */
async function openEngine(folder: string, memory: number): Promise<Engine> {
  const instance = await DuckDBInstance.create(':memory:', { autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' })
  const connection: DuckDBConnection = await instance.connect()
  await connection.run(`SET TimeZone = 'UTC'; SET errors_as_json = true; SET memory_limit = '${Math.floor(memory / 1024)}KiB';
    SET parquet_metadata_cache = true; SET temp_directory = ${quoteText(join(folder, 'spill'))}; SET allowed_directories = [${quoteText(`${folder}/`)}];
    SET enable_external_access = false; SET lock_configuration = true`)
  return { instance, session: tellingOfMemory(createSession(connection), memory) }
}
