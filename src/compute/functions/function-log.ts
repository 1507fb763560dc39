import type { Feature } from '../../definition/model.ts'
import type { ComputeRow } from '../executor.ts'
import type { CallFailure } from '../function-runner.ts'

/** One line per feature and this long, with the number of failures it stands for. */
const LOG_EVERY_MS = 1000

export type WriteLine = (level: 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void

/** What of users' functions goes to the log. */
export interface FunctionLog {
  failure(feature: Feature, row: ComputeRow, error: CallFailure): void
  /** It asks for the current time in a computation of the past. */
  usedPresent(feature: Feature): void
}

/** A feature that fails ten thousand times a second must not write as many lines. */
export function createFunctionLog(log: WriteLine): FunctionLog {
  const last = new Map<string, { at: number; omitted: number }>()
  const named = new Set<string>()
  return {
    failure(feature, row, error) {
      const now = performance.now()
      const entry = last.get(feature.name) ?? { at: Number.NEGATIVE_INFINITY, omitted: 0 }
      last.set(feature.name, entry)
      if (now - entry.at < LOG_EVERY_MS) {
        entry.omitted += 1
        return
      }
      const fields = { feature: feature.name, key: row.key.encoded, code: error.code, error: error.thrown ?? error.message }
      log('warn', `feature "${feature.name}" failed.`, entry.omitted === 0 ? fields : { ...fields, further: entry.omitted })
      entry.at = now
      entry.omitted = 0
    },
    usedPresent(feature) {
      if (named.has(feature.fingerprint)) return
      named.add(feature.fingerprint)
      log('warn', `feature "${feature.name}" asks for the current time; in the past it was given the row's time. Use asOf.`, {
        feature: feature.name,
      })
    },
  }
}
