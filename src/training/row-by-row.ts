import type { List } from '../collections/chunked-list.ts'
import type { Computed, ComputeRow, Executor } from '../compute/executor.ts'
import { takesInputs } from '../definition/feature-traits.ts'
import type { DeclaredType, Feature } from '../definition/model.ts'
import { encodeValue, parseExact } from '../definition/value.ts'
import { FabraError } from '../errors.ts'
import type { RunOptions } from '../store/ports/source-engine.ts'
import type { LabelRow, Reads, TextRow, TrainingWorkspace, ValuesId } from '../store/ports/training-store.ts'
import { versionOf } from './resume-identity.ts'

/** Rows held in memory at a time. */
export const SQL_ROWS = 50_000
const FUNCTION_ROWS = 2_000
/** SQL begins with few, so that one who waits soon hears how quick it is. */
const FIRST_SQL_ROWS = 2_000
/** A slow function gets few at a time: what is computed is kept when a batch is done. */
const FEWEST_ROWS = 128
const LONG_BATCH_MS = 8_000
const SHORT_BATCH_MS = 2_000
/** A function that says nothing of its own may take as long as in a refresh. */
const CALL_MICROS = 30_000_000
const BATCH_MS = 6 * 3_600_000

export interface RowByRow {
  readonly feature: Feature
  readonly workspace: TrainingWorkspace
  readonly executor: Executor
  readonly run: RunOptions
  readonly reads: Reads
  /** What its values hang on besides its own version, its rows and what it reads; as text. */
  readonly hangsOn: string
}

/** The compute primitive for every row as of its own time, in batches. The first row that fails fails them all, and is named. */
export async function rowByRow(
  { feature, workspace, executor, run, reads, hangsOn }: RowByRow,
  at: { readonly entity: number; readonly rows: number; readonly progress: (share: number, taken: number) => void },
): Promise<ValuesId> {
  const inputs = Object.keys(feature.inputs)
  const isFunction = feature.computation.kind === 'function'
  let size = isFunction ? FEWEST_ROWS : FIRST_SQL_ROWS
  const inNoHurry = patient(feature)
  const { entity } = at
  const asked = { feature: versionOf(feature), columnCount: feature.columns.length, entity, inputs, hangsOn, reads }
  const collected = await workspace.collect(asked, run)
  let taken = 0
  const goOn = async (from: number) => {
    const next = await collected.goOn(from)
    taken += next - from
    return next
  }
  for (let from = await goOn(0); from < at.rows; from = await goOn(from)) {
    const started = performance.now()
    const rows = await workspace.rows({ from, to: from + size, entity, inputs })
    const requests = rows.map((row) => requestOf(feature, row))
    const answers = await executor.compute(inNoHurry, requests, { signal: run.signal, timeoutMs: BATCH_MS, mode: 'past', chain: [] })
    from = Math.min(at.rows, from + size)
    await collected.add(valuesOf(rows, answers), from)
    at.progress(from / at.rows, taken / at.rows)
    size = nextSize(size, performance.now() - started, isFunction)
  }
  await collected.end()
  return collected.id
}

/** With the time that a call of its function may take where nobody waits for it alone. */
export function patient(feature: Feature): Feature {
  return feature.computation.kind === 'function' && feature.timeout === null ? { ...feature, timeout: CALL_MICROS } : feature
}

/** Of the next batch, after one of so many rows took so long. */
function nextSize(size: number, tookMs: number, isFunction: boolean): number {
  if (tookMs < SHORT_BATCH_MS) return isFunction ? Math.min(FUNCTION_ROWS, size * 2) : Math.min(SQL_ROWS, size * 5)
  return tookMs > LONG_BATCH_MS ? Math.max(FEWEST_ROWS, Math.floor(size / 2)) : size
}

function requestOf(feature: Feature, row: LabelRow): ComputeRow {
  if (!takesInputs(feature)) return { key: row.key, asOf: row.asOf }
  const inputs = Object.entries(feature.inputs).map(([name, type]) => [name, checkedInput(name, type, row)] as const)
  return { key: row.key, asOf: row.asOf, inputs: Object.fromEntries(inputs) }
}

/** Text formats cannot tell the text "5" from the number, so texts are read as what the input is declared to be. */
function checkedInput(name: string, type: DeclaredType, row: LabelRow): unknown {
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

function valuesOf(rows: readonly LabelRow[], answers: List<Computed>): TextRow[] {
  const values: TextRow[] = []
  rows.forEach(({ ord, asOf }, i) => {
    const answer = answers.at(i)
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
