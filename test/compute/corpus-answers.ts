import type { Computed } from '../../src/compute/executor.ts'
import { parseTime } from '../../src/definition/time.ts'

/** Answers of engines and of plain SQL, in one form. */
export function comparable(answer: Computed, _i: number): unknown {
  if (answer.kind === 'missing') return 'missing'
  if (answer.kind === 'error') return answer.error.code
  return answer.texts.map((text) => normalise(JSON.parse(text, keepDigits), null))
}

export function keepDigits(_key: string, value: unknown, context?: { readonly source: string }): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '') ? context?.source : value
}

export function normalise(value: unknown, type: string | null): unknown {
  if (typeof value === 'number') return Number(value.toPrecision(12))
  if (type === 'timestamp' && typeof value === 'string') return parseTime(`${value.replace(' ', 'T').replace(/\+00(?::00)?$/, '')}Z`)
  if (typeof value === 'string' && /^\d{4}-\d{2}-\d{2}T.*Z$/.test(value)) return parseTime(value)
  if (Array.isArray(value)) return value.map((item) => normalise(item, null))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, item]) => [name, normalise(item, null)]),
    )
  }
  return value
}
