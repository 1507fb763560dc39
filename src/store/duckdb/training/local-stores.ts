/** Where sources and history are, as a workspace sees them: the laptop's engine, which reads and writes the workspace's folder itself. */
import { join } from 'node:path'
import type { CopyRows } from '../../ports/copied-rows.ts'
import { type RunOptions, SqlError, type TableColumn } from '../../ports/source-engine.ts'
import type { AsOfRequest, TrainingWorkspace, TypedColumn } from '../../ports/training-store.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { dropRowTable } from '../sources/row-table.ts'
import { CATALOG, quoteName, quoteText } from '../sql.ts'
import { dropHistoryTables, LOCAL_HISTORY, makeAllSteps, type RecordedSource, stepsOfRows } from './as-of-join.ts'
import type { HeldValues } from './result.ts'
import type { ResumeLog, ResumeStep, Step } from './resume/steps.ts'
import { canType, parquetOptions, rowTableFrom, typedValues } from './typed-values.ts'

/** Rows in one statement. More only makes larger what the engine holds at once. */
const STATEMENT_ROWS = 1_000_000
/** Pairs of a row and a recorded value of its key that cost less than putting the row in order. */
const PAIRS_PER_ROW = 30
/** Features with recorded values in one statement, whose steps it holds all at once. */
const STEPPED_FEATURES = 10
/** Statements whose features' recorded values are put in order at once: history is read once for all of them, and held. */
const GROUPS_AT_ONCE = 10

/** The workspace as far as it is made. */
export interface WorkspaceState {
  readonly folder: string
  readonly session: Session
  readonly resumeLog: ResumeLog
  /** Path of a new file in the folder. */
  file(name: string): string
  readonly rows: string
  readonly rowCount: number
  readonly keyCount: (entity: number) => number
}

export interface LabelsQuery {
  readonly sql: string
  readonly check: (columns: readonly TableColumn[]) => void
}

/** Where users' SQL runs. */
export interface SourcesAccess {
  /** @returns path of a Parquet file with the rows of a query. @throws SqlError, and what the check throws of its columns. */
  query(labels: LabelsQuery, state: WorkspaceState, options: RunOptions): Promise<string>
  canCompute(columns: readonly TypedColumn[]): boolean
  compute(request: Parameters<TrainingWorkspace['compute']>[0], state: WorkspaceState, options: RunOptions): Promise<HeldValues>
  deterministically<T>(work: () => Promise<T>): Promise<T>
  /** From another machine; null where sources are here. */
  readonly copyRows: CopyRows | null
}

/** Where history is. */
export interface HistoryAccess {
  /** One line for people. */
  readonly how: string
  hasHistory(feature: string, fingerprint: string): Promise<boolean>
  asOf(requests: readonly AsOfRequest[], entity: number, state: WorkspaceState, options: RunOptions): Promise<readonly HeldValues[]>
}

/** @param database The workspace's folder lies where it may read and write files. */
export function localSources(database: Database): SourcesAccess {
  return {
    async query({ sql, check }, { folder }, options) {
      const file = join(folder, 'queried.parquet')
      await database.readers.use(options, async (session, left) => {
        // Proves that it is one SELECT, so that nothing else can hide in the statement around it.
        const columns = await session.describe(sql)
        check(columns)
        const rows = `SELECT ${parquetColumns(columns)} FROM (\n${sql.replace(/[\s;]+$/, '')}\n)`
        await session.execute(copyTo(file, rows, columns.length), left)
      })
      return file
    },
    canCompute: (columns) => columns.every(({ type, sqlType }) => canType(type, sqlType)),
    async compute({ text, entity, columns, alwaysOneRow, features, reads }, state, options) {
      const files: string[] = []
      const step = await state.resumeLog.begin(
        { request: { text, columns, features }, entity, inputs: [], reads, features: features.length },
        options,
      )
      for (let from = 0, to = 0; from < Math.max(1, state.rowCount); from = to) {
        const file = state.file('values')
        files.push(file)
        to = Math.max(1, Math.min(from + STATEMENT_ROWS, state.rowCount))
        const there = await step.take(from, file, options)
        if (there !== undefined) {
          to = there
          continue
        }
        const select = typedValues(text, columns)
        await database.readers.use(options, async (session, left) => {
          try {
            await session.execute(rowTableFrom(state.rows, entity, state.keyCount(entity), { from, to }), left)
            await session.execute(copyTo(file, select, columns.length), left)
          } finally {
            await dropRowTable(session)
          }
        })
        await step.keep({ from, to }, file, options)
      }
      const from = `read_parquet([${files.map(quoteText).join(', ')}])`
      if (!alwaysOneRow) await refuseRepeats(state.session, from, options)
      return { kind: 'typed', from, f: 0 }
    },
    deterministically: (work) => database.onOneThread(work),
    copyRows: null,
  }
}

/** The engine writes whole numbers beyond 64 bits into Parquet as floats, as decimals it writes them with all their digits. */
function parquetColumns(columns: readonly TableColumn[]): string {
  const casts = columns.flatMap(({ name, type }) => {
    const exact = type.replace(/"(?:[^"]|"")*"|\bU?HUGEINT\b/g, (found) => (found.startsWith('"') ? found : 'DECIMAL(38,0)'))
    return exact === type ? [] : [`CAST(${quoteName(name)} AS ${exact}) AS ${quoteName(name)}`]
  })
  return casts.length === 0 ? '*' : `* REPLACE (${casts.join(', ')})`
}

function copyTo(file: string, select: string, columnCount: number): string {
  return `COPY (${select}) TO ${quoteText(file)} (${parquetOptions(columnCount)})`
}

async function refuseRepeats(session: Session, from: string, options: RunOptions): Promise<void> {
  const { rows } = await session.read(`SELECT COUNT(*) > COUNT(DISTINCT __fabra_ord) FROM ${from}`, [], options)
  if (rows[0]?.[0] === true) throw new SqlError('runtime', 'A row has more than one answer.', null)
}

/** @param pairsPerRow From how many recorded values per row on rows are put in order; another than the default by tests only. */
export function localHistory(database: Database, pairsPerRow = PAIRS_PER_ROW): HistoryAccess {
  return {
    how: 'as-of join over recorded values',
    async hasHistory(feature, fingerprint) {
      const text = `SELECT 1 FROM ${CATALOG}.fabra.feature_history WHERE feature = $1 AND fingerprint = $2 LIMIT 1`
      const { rows } = await database.readers.use(ownDeadline(), (session, left) => session.read(text, [feature, fingerprint], left))
      return rows.length > 0
    },
    async asOf(requests, entity, state, options) {
      const groups = groupsOf(requests, state)
      const steps: { readonly step: ResumeStep; readonly group: AsOfGroup }[] = []
      for (const group of groups) {
        const step = await state.resumeLog.begin(stepOf(group, requests, entity), options)
        if ((await step.take(0, group.file, options)) === undefined) steps.push({ step, group })
      }
      if (steps.length > 0) {
        const work = { groups: steps.map(({ group }) => group), entity, state, recorded: LOCAL_HISTORY, pairsPerRow }
        await database.readers.use(options, (session, left) => asOfValues(session, work, left))
      }
      for (const { step, group } of steps) await step.keep({ from: 0, to: state.rowCount }, group.file, options)
      return groups.flatMap(heldOf)
    },
  }
}

/** Questions that are answered in one statement, and the file of the answers. */
export interface AsOfGroup {
  readonly requests: readonly AsOfRequest[]
  readonly file: string
}

export function groupsOf(requests: readonly AsOfRequest[], state: Pick<WorkspaceState, 'file'>): AsOfGroup[] {
  const count = Math.ceil(requests.length / STEPPED_FEATURES)
  return Array.from({ length: count }, (_, i) => ({
    requests: requests.slice(i * STEPPED_FEATURES, (i + 1) * STEPPED_FEATURES),
    file: state.file('recorded'),
  }))
}

export function heldOf({ requests, file }: AsOfGroup): HeldValues[] {
  return requests.map((request, f) => ({
    kind: request.type === null ? 'recorded' : 'decoded',
    from: `read_parquet(${quoteText(file)})`,
    f,
  }))
}

/** @param all Of all groups: history is looked at once, however many there are. */
function stepOf({ requests }: AsOfGroup, all: readonly AsOfRequest[], entity: number): Step {
  return { request: requests, entity, inputs: [], reads: { sources: [], recorded: all }, features: requests.length }
}

export interface AsOfWork {
  readonly groups: readonly AsOfGroup[]
  readonly entity: number
  readonly state: WorkspaceState
  readonly recorded: RecordedSource
  readonly pairsPerRow: number | undefined
}

/** Writes each group's file, on a session that reads and writes the workspace's folder. */
export async function asOfValues(session: Session, work: AsOfWork, options: RunOptions): Promise<void> {
  for (let from = 0; from < work.groups.length; from += GROUPS_AT_ONCE)
    await valuesOfGroups(session, { ...work, groups: work.groups.slice(from, from + GROUPS_AT_ONCE) }, options)
}

async function valuesOfGroups(session: Session, work: AsOfWork, options: RunOptions): Promise<void> {
  const { groups, entity, state, recorded, pairsPerRow = PAIRS_PER_ROW } = work
  const requests = groups.flatMap((group) => group.requests)
  const isLight = (pairs: number) => pairs <= pairsPerRow * state.rowCount
  try {
    const features = await makeAllSteps(session, { rows: state.rows, entity, requests, recorded, isLight }, options)
    let from = 0
    for (const { file, requests: own } of groups) {
      await session.execute(copyTo(file, stepsOfRows(features.slice(from, from + own.length)), own.length), options)
      from += own.length
    }
  } finally {
    await session.execute(dropHistoryTables(requests.length), ownDeadline())
  }
}
