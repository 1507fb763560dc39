/** Where statements over all label rows run: where the sources are, or here over copies of the rows that they read. */
import type { Portability } from '../compute/sql/portable/portable.ts'
import type { PortableRead } from '../compute/sql/portable/tables.ts'
import type { MergedPast, PastStatement } from '../compute/sql/sql-executor.ts'
import type { Entity, Feature } from '../definition/model.ts'
import type { WantedRows } from '../store/ports/copied-rows.ts'
import { type RunOptions, SqlError } from '../store/ports/source-engine.ts'
import type { ComputeRequest, TrainingWorkspace, ValuesId } from '../store/ports/training-store.ts'
import type { TrainingDependencies } from './job.ts'

export interface SetWay {
  /** Whose statements it runs. */
  has(feature: Feature): boolean
  readonly pastStatement: TrainingDependencies['pastStatement']
  readonly pastMerges: TrainingDependencies['pastMerges']
  canCompute(columns: PastStatement['columns']): boolean
  compute(request: ComputeRequest, options: RunOptions): Promise<ValuesId>
  /** Added to what is told of how features were computed. */
  readonly place: string
}

/** Said of features that are computed here, before it is known whether it is worth it. */
export const HERE = 'over a copy of the rows of the labels’ keys'

/** Where the sources are. */
export function ownWay(dependencies: TrainingDependencies, workspace: TrainingWorkspace): SetWay {
  return {
    has: () => true,
    pastStatement: dependencies.pastStatement,
    pastMerges: dependencies.pastMerges,
    canCompute: (columns) => workspace.canCompute(columns),
    compute: (request, options) => workspace.compute(request, options),
    place: '',
  }
}

export interface CopyPlan {
  readonly features: readonly Feature[]
  readonly entities: readonly Entity[]
  readonly rows: number
}

/** @returns null where sources are here already; else the way over copies, or why there is none. @throws SqlError */
export async function wayOverCopies(
  { features, entities, rows }: CopyPlan,
  dependencies: TrainingDependencies,
  workspace: TrainingWorkspace,
  run: RunOptions,
): Promise<SetWay | string | null> {
  const { bring } = workspace
  if (bring === null) return null
  const reads = features.flatMap((feature) => {
    const portable = dependencies.portability(feature)?.portable
    const entity = entities.findIndex((one) => one.name === feature.entity)
    return portable?.reads.map((read) => ({ feature, read, entity })) ?? []
  })
  if (reads.length === 0) return null
  const wanted = [...Map.groupBy(reads, ({ read }) => read.source.name).values()].map((some) => wantedRows(some, entities))
  const brought = await bring(wanted, rows * new Set(reads.map(({ feature }) => feature)).size, run)
  if (typeof brought === 'string') return brought
  const over = await dependencies.overCopies([...new Set(reads.map(({ feature }) => feature))], brought.engine)
  const able = new Set(reads.filter(({ feature }) => over.has(feature.name)).map(({ feature }) => feature))
  return {
    has: (feature) => able.has(feature),
    pastStatement: (feature, count, sample) => over.pastStatement(feature.name, count, sample),
    pastMerges: (some, count, fits) =>
      over.pastMerges(
        some.map(({ name }) => name),
        count,
        fits,
      ),
    canCompute: brought.canCompute,
    compute: brought.compute,
    place: `, ${HERE}`,
  }
}

export interface ReadBy {
  readonly read: PortableRead
  readonly entity: number
}

/** Of one source: of rows all that any of the features looks at. */
export function wantedRows(reads: readonly ReadBy[], entities: readonly Entity[]): WantedRows {
  const [{ read, entity }] = reads as [ReadBy]
  const { source, table } = read
  const sameKeys = reads.every((other) => other.entity === entity && JSON.stringify(other.read.keys) === JSON.stringify(read.keys))
  const spans = reads.map(({ read: { since } }) => since)
  const timestamp =
    source.timestamp === null ? null : (table.columns.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase()) ?? null)
  const columns = new Map(reads.flatMap((one) => one.read.columns.map((column) => [column.name, column] as const)))
  const parts = read.keys.map(({ part }) => part)
  return {
    source: source.name,
    table: { schema: table.schema, name: table.name, columns: [...columns.values()], rows: read.rows },
    keys:
      sameKeys && parts.length > 0
        ? {
            columns: read.keys.map(({ column }) => column),
            entity,
            parts,
            types: parts.map((part) => KEY_TYPES[entities[entity]?.key[part]?.type ?? 'string']),
          }
        : null,
    times:
      timestamp && /^TIMESTAMP/.test(timestamp.type)
        ? { column: timestamp.name, spans: spans.includes(null) ? null : [...new Set(spans.filter((span) => span !== null))] }
        : null,
  }
}

const KEY_TYPES = { string: 'text', int: 'bigint', uuid: 'uuid' } as const

/** Of each way, of its features that no way before it has. */
export async function mergesOf(
  features: readonly Feature[],
  ways: readonly SetWay[],
  rows: number,
): Promise<readonly { readonly way: SetWay; readonly merge: MergedPast }[]> {
  const merges: { readonly way: SetWay; readonly merge: MergedPast }[] = []
  let left = features
  for (const way of ways) {
    const own = left.filter((feature) => way.has(feature))
    left = left.filter((feature) => !way.has(feature))
    const found = await way.pastMerges(own, rows, (columns) => way.canCompute(columns)).catch(giveUpUnlessSql)
    merges.push(...(found ?? []).map((merge) => ({ way, merge })))
  }
  return merges
}

/** Why a feature is computed where its sources are, as the end of a line; empty where they are here. */
export function uncopiedBecause(portability: Portability | null, uncopied: string | null): string {
  const why = portability?.refusal ?? uncopied
  return portability === null || why === null ? '' : `, where the sources are: ${why}`
}

/** Null for what may succeed another way. */
export function giveUpUnlessSql(error: unknown): null {
  const isSql = error instanceof SqlError && error.kind !== 'timeout' && error.kind !== 'interrupted' && error.kind !== 'unavailable'
  if (!isSql) throw error
  return null
}
