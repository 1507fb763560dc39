import type { Computed, ComputeRow, Executor } from '../compute/executor.ts'
import type { Feature, ValueType } from '../definition/model.ts'
import { encodeValue, parseExact } from '../definition/value.ts'
import { FabraError } from '../errors.ts'
import type { LabelRow, TextRow, TrainingDesk, ValuesId } from '../store/training-store.ts'

/** Rows held in memory at a time. */
export const SQL_ROWS = 50_000
const FUNCTION_ROWS = 2_000
/** A function that says nothing of its own may take as long as in a refresh. */
const CALL_MICROS = 30_000_000
const BATCH_MS = 6 * 3_600_000

export interface RowByRow {
  readonly feature: Feature
  readonly desk: TrainingDesk
  readonly executor: Executor
  readonly signal: AbortSignal
}

/** The compute primitive for every row as of its own time, in batches. The first row that fails fails them all, and is named. */
export async function rowByRow(
  { feature, desk, executor, signal }: RowByRow,
  at: { readonly entity: number; readonly rows: number; readonly progress: (share: number) => void },
): Promise<ValuesId> {
  const inputs = Object.keys(feature.inputs)
  const isFunction = feature.computation.kind === 'function'
  const size = isFunction ? FUNCTION_ROWS : SQL_ROWS
  const patient = isFunction && feature.timeout === null ? { ...feature, timeout: CALL_MICROS } : feature
  const collected = await desk.collect(feature.columns.length)
  for (let from = 0; from < at.rows; from += size) {
    const rows = await desk.rows({ from, to: from + size, entity: at.entity, inputs })
    const questions = rows.map((row) => questionOf(feature, row))
    const answers = await executor.compute(patient, questions, { signal, timeoutMs: BATCH_MS, mode: 'past', chain: [] })
    await collected.add(valuesOf(rows, answers))
    at.progress(Math.min(1, (from + size) / at.rows))
  }
  return collected.id
}

function questionOf(feature: Feature, row: LabelRow): ComputeRow {
  if (Object.keys(feature.inputs).length === 0) return { key: row.key, asOf: row.asOf }
  const inputs = Object.entries(feature.inputs).map(([name, type]) => [name, checkedInput(name, type, row)] as const)
  return { key: row.key, asOf: row.asOf, inputs: Object.fromEntries(inputs) }
}

/** Text formats cannot tell the text "5" from the number, so texts are read as what the input is declared to be. */
function checkedInput(name: string, type: ValueType, row: LabelRow): unknown {
  const given = row.inputs[name] ?? null
  const value = typeof given === 'string' && type !== 'string' && type !== 'timestamp' ? read(given) : given
  try {
    encodeValue(type, value)
    return value
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    throw new FabraError('invalid_input', `${rowName(row.ord)}: the input "${name}": ${error.message}`, {
      hint: `"${name}" is declared as ${type}.`,
    })
  }
}

function read(text: string): unknown {
  try {
    return parseExact(text)
  } catch {
    return text
  }
}

function valuesOf(rows: readonly LabelRow[], answers: readonly Computed[]): TextRow[] {
  const values: TextRow[] = []
  rows.forEach(({ ord, asOf }, i) => {
    const answer = answers[i]
    if (answer?.kind === 'error') {
      const { code, message, hint, cause } = answer.error
      throw new FabraError(code, `${rowName(ord)}: ${message}`, { cause, ...(hint === undefined ? {} : { hint }) })
    }
    if (answer?.kind === 'value') values.push({ ord, texts: answer.texts, eventAt: asOf })
  })
  return values
}

function rowName(ord: number): string {
  return `Row ${ord} of the labels (counting from 0)`
}
