import { type SourceEngine, SqlError } from '../../store/ports/source-engine.ts'
import { latestStatement } from './duckdb/latest-row-statement.ts'
import { joinedStatement, PAIRS_PER_EVENT } from './duckdb/windowed-aggregate-statement.ts'
import type { SqlDefinition } from './sql-definitions.ts'

/**
 * `set`: LATERAL over the row list. `rows`: one statement a row. `grouped`: a join with the row list, where it means the same. `joined`: a plain aggregate by a hash join, heavy keys in order of time, or the
 * latest row of a key by an as-of join (DuckDB).
 * `sorted`: the same with every key in order of time. `mixed`: the same with keys that have more than a few of both.
 */
export type Strategy = 'set' | 'rows' | 'grouped' | 'joined' | 'sorted' | 'mixed'

export type Plan = { readonly strategy: 'rows' } | { readonly strategy: 'set' | 'grouped' | 'joined'; readonly text: string }

/** From so many rows on, looking for heavy keys costs less than it may save. */
export const JOINED_FROM = 2_000
/** Forced: no key is heavy, every one, or some. */
const PAIRS: Readonly<Partial<Record<Strategy, number>>> = { joined: 1e15, sorted: 0, mixed: 0.1 }
/** Rows of a large batch that are tried both ways first. */
export const TRIAL = { from: 256, rows: 4, set: 64 } as const

/** Which way each feature is computed, learned from what the engine refused and how long a sample took. Lives as long as the definitions. */
export interface Strategies {
  plan(definition: SqlDefinition, count: number): Promise<Plan>
  /** Whether a batch of this size should be tried both ways before it is run. */
  wantsTrial(definition: SqlDefinition, count: number): boolean
  /** Milliseconds a row took each way; null: did not come to an end. */
  tried(definition: SqlDefinition, cost: { readonly rows: number; readonly set: number | null }): void
  /** The engine failed at it; it is not asked again. */
  refuse(definition: SqlDefinition, strategy: Strategy, error: SqlError): void
  /** One line for people. */
  explain(definition: SqlDefinition): string
}

interface Measured {
  readonly refused: Map<Strategy, string>
  cost: { readonly rows: number; readonly set: number | null } | null
  joined: Promise<string> | undefined
}

/** @param forced Always this one where it is possible: for tests and measurements. */
export function createStrategies(store: SourceEngine, forced?: Strategy): Strategies {
  const known = new WeakMap<SqlDefinition, Measured>()
  const measuredOf = (definition: SqlDefinition): Measured => {
    const measured = known.get(definition) ?? { refused: new Map(), cost: null, joined: undefined }
    known.set(definition, measured)
    return measured
  }
  const slowAsSet = ({ cost }: Measured) => cost !== null && (cost.set === null || cost.set > cost.rows)
  const canJoin = ({ plain, latest }: SqlDefinition, { refused }: Measured) => (plain !== null || latest !== null) && !refused.has('joined')
  const canGroup = ({ grouped }: SqlDefinition, { refused }: Measured) => grouped !== null && !refused.has('grouped')
  const wantsGrouped = ({ plain, latest }: SqlDefinition, count: number) =>
    forced === undefined ? count > 1 : forced === 'grouped' || (forced === 'joined' && plain === null && latest === null)
  const joinedText = ({ plain, latest }: SqlDefinition, pairs: number) =>
    plain ? joinedStatement([plain], store, pairs) : latest ? latestStatement([latest], store) : null

  return {
    async plan(definition, count) {
      const measured = measuredOf(definition)
      const { text } = definition.set
      if (text === null || measured.refused.has('set') || forced === 'rows') return { strategy: 'rows' }
      const forcedPairs = forced && PAIRS[forced]
      const joins = forcedPairs !== undefined || (forced === undefined && count >= JOINED_FROM)
      const joined =
        joins && canJoin(definition, measured) ? (measured.joined ?? joinedText(definition, forcedPairs ?? PAIRS_PER_EVENT)) : null
      if (joined) {
        measured.joined = joined
        try {
          return { strategy: 'joined', text: await joined }
        } catch (error) {
          if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
          measured.refused.set('joined', error.message)
        }
      }
      if (definition.grouped !== null && wantsGrouped(definition, count) && canGroup(definition, measured))
        return { strategy: 'grouped', text: definition.grouped }
      if (count === 1 && forced === undefined) return { strategy: 'rows' }
      return forced === undefined && slowAsSet(measured) ? { strategy: 'rows' } : { strategy: 'set', text }
    },
    wantsTrial(definition, count) {
      const measured = measuredOf(definition)
      const open = forced === undefined && measured.cost === null && definition.set.text !== null && !measured.refused.has('set')
      return open && count >= TRIAL.from && !canJoin(definition, measured) && !canGroup(definition, measured)
    },
    tried(definition, cost) {
      measuredOf(definition).cost = cost
    },
    refuse(definition, strategy, error) {
      measuredOf(definition).refused.set(strategy, error.message)
    },
    explain(definition) {
      const measured = measuredOf(definition)
      const refusal = definition.set.refusal ?? measured.refused.get('set')
      if (refusal !== undefined && refusal !== null) return `row by row: ${refusal}`
      if (canGroup(definition, measured) && store.dialect === 'postgres')
        return 'set-based: no index finds the rows of a key, so its table is joined'
      if (canJoin(definition, measured) && definition.latest !== null)
        return `set-based; from ${JOINED_FROM} rows on, the latest rows of all keys by one join`
      if (canJoin(definition, measured)) return `set-based; from ${JOINED_FROM} rows on, keys with much history in order of time`
      const unjoined = measured.refused.get('grouped')
      if (!slowAsSet(measured)) return unjoined === undefined ? 'set-based' : `set-based; its join failed: ${unjoined}`
      const set = measured.cost?.set === null ? 'took too long' : `took ${measured.cost?.set.toFixed(1)} ms a row`
      return `row by row: set-based ${set}, row by row ${measured.cost?.rows.toFixed(1)} ms`
    },
  }
}
