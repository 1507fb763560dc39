/** Months of history that are wholly too old leave at once, where history is a table for each; what is left of them then leaves in lots. */
import type { Micros } from '../clock.ts'
import type { Logger } from '../observability/logger.ts'
import type { TakeLeaving } from '../store/ports/archive.ts'
import type { HistoryRemoval, MonthsDone, MonthsRemoval, RemovalRule } from '../store/ports/history-removal.ts'
import type { Archive } from './archive/archive.ts'
import type { Lots } from './sweeper.ts'

/** Whoever keeps history for so long keeps it for whole months: a tenth longer at most. */
const BY_MONTHS_FROM: Micros = 300 * 86_400_000_000

export function byMonths(rule: RemovalRule, { months }: HistoryRemoval, now: Micros): RemovalRule {
  if (!months || now - rule.before < BY_MONTHS_FROM) return rule
  const date = new Date(rule.before / 1_000)
  return { ...rule, before: Date.UTC(date.getUTCFullYear(), date.getUTCMonth()) * 1_000 }
}

export interface OldMonthsOptions {
  readonly months: MonthsRemoval
  readonly archive: Archive | null
  readonly takerOf: (archive: Archive, feature: string) => TakeLeaving
  readonly rules: readonly RemovalRule[]
  readonly log: Logger
}

/** @returns how many rows left. Never throws: the next sweep goes on. */
export async function letMonthsGo(
  lots: Lots,
  signal: AbortSignal,
  { months, archive, takerOf, rules, log }: OldMonthsOptions,
): Promise<number> {
  let removed = 0
  const finish = async () => {
    const given = new Set<string>()
    await lots(async () => {
      const { features, goesOn } = await months.finishLot(archive && ((feature) => takerOf(archive, feature)))
      for (const name of features) {
        given.add(name)
        await archive?.join({ kind: 'history', name }, 'many')
      }
      return goesOn
    })
    for (const name of given) await archive?.join({ kind: 'history', name })
  }
  try {
    await finish()
    for (let after: string | null = ''; after !== null && !signal.aborted; ) {
      let done: MonthsDone = { next: null, removed: 0 }
      const from: string = after
      await lots(async () => {
        done = await months.exchangeNext(rules, { after: from, archives: archive !== null, signal })
        return false
      })
      const { next, problem } = done as MonthsDone
      after = next
      removed += done.removed
      if (done.removed > 0) {
        log.info('a month of history left but for what stays: it was older than it is kept', { month: next, rows: done.removed })
        await finish()
      }
      if (problem !== undefined && !signal.aborted)
        log.info('a month of history could not leave at once; its rows leave in lots', { month: next, error: problem })
    }
  } catch (error) {
    log.warn('months of history could not leave', { error })
  }
  return removed
}
