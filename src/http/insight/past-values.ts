/** Values of one key as of a past moment, as a training set of that row has them. */
import { join } from 'node:path'
import type { Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { stringifyExact } from '../../definition/exact-json.ts'
import type { Entity, Feature } from '../../definition/model.ts'
import { formatTime, parseTime } from '../../definition/time.ts'
import { parseExact } from '../../definition/value.ts'
import { FabraError } from '../../errors.ts'
import type { TrainingJob } from '../../training/job.ts'
import type { ManyOfRow, OneAnswer } from '../../training/one-row.ts'
import type { TrainingOptions } from '../../training/options.ts'
import type { HttpOptions } from '../options.ts'

export interface PastValue {
  /** JSON text of the value, or of the object of its columns. */
  readonly value: string
  readonly status: string
  readonly method: string | null
  readonly eventAt: Micros | null
  readonly error: FabraError | null
}

/** Statements, and functions, at the same time: the engine has a few connections, and reads need them too. */
const AT_ONCE = 2
/** No column of a key is called so. */
const TIME = 'event_timestamp'

/** What is not there yet is not in `found`, which fills as it becomes known. Rejects when the row is given up. */
export async function fillPast(
  options: HttpOptions,
  features: readonly Feature[],
  row: PastRow,
  found: Map<string, PastValue>,
): Promise<void> {
  const isSql = ({ computation }: Feature) => computation.kind === 'sql'
  const together = async (some: readonly Feature[]) => {
    await computedTogether(options, some, row, found)
    await fill(some.filter(({ name }) => !found.has(name)))
  }
  const fill = async (some: readonly Feature[]) => {
    const waiting = [...some]
    const recorded: Feature[] = []
    const work = async () => {
      for (let feature = waiting.shift(); feature; feature = waiting.shift()) {
        const answer = await computed(options, feature, row)
        if (answer) found.set(feature.name, answer)
        else recorded.push(feature)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    for (const [name, value] of await recordedValues(options, recorded, row)) found.set(name, value)
  }
  // What is recorded and what functions give does not wait for hundreds of statements.
  await Promise.all([together(features.filter(isSql)), fill(features.filter((feature) => !isSql(feature)))])
}

export interface PastRow {
  readonly entity: Entity
  readonly key: EntityKey
  readonly asOf: Micros
  readonly signal: AbortSignal
}

/** Hundreds of statements about one key read much the same. What goes together is there long before the rest. */
async function computedTogether(
  { training }: HttpOptions,
  features: readonly Feature[],
  { key, asOf, signal }: PastRow,
  found: Map<string, PastValue>,
): Promise<void> {
  const onAnswer: ManyOfRow['onAnswer'] = (feature, answer) => found.set(feature.name, toldOf(feature, answer, asOf))
  try {
    await training.computeMany({ features, key, asOf, onAnswer }, signal)
  } catch (error) {
    if (signal.aborted) throw error
    // Asked for one by one, each says what is wrong.
  }
}

/** Null: its past is what was recorded. */
async function computed(options: HttpOptions, feature: Feature, { key, asOf, signal }: PastRow): Promise<PastValue | null> {
  try {
    const answer = await options.training.computeOne({ feature, key, asOf }, signal)
    return answer && toldOf(feature, answer, asOf)
  } catch (error) {
    if (error instanceof FabraError && !signal.aborted) return failed(error)
    throw error
  }
}

function toldOf(feature: Feature, { method, computed: found }: OneAnswer, asOf: Micros): PastValue {
  if (found.kind === 'error') return failed(found.error)
  const texts = found.kind === 'value' ? found.texts : feature.defaults
  const status = found.kind === 'value' ? 'fresh' : feature.defaults ? 'default' : 'missing'
  return { value: valueText(feature, texts), status, method, eventAt: found.kind === 'value' ? asOf : null, error: null }
}

function valueText({ columns }: Feature, texts: readonly string[] | null): string {
  if (texts === null) return 'null'
  if (columns[0]?.name === null) return texts[0] ?? 'null'
  return `{${columns.map(({ name }, i) => `${JSON.stringify(name)}:${texts[i] ?? 'null'}`).join(',')}}`
}

function failed(error: FabraError): PastValue {
  return { value: 'null', status: 'error', method: null, eventAt: null, error }
}

/** By a training set of one row. */
async function recordedValues(options: HttpOptions, asked: readonly Feature[], row: PastRow): Promise<ReadonlyMap<string, PastValue>> {
  const found = new Map<string, PastValue>()
  if (asked.length === 0) return found
  const job = await options.training.beginLook()
  try {
    const methods = new Map((await job.explain(null, trainingOptions(asked), row.signal)).features.map((one) => [one.feature, one]))
    const computable = asked.filter(({ name }) => {
      const explained = methods.get(name)
      if (!explained?.method) found.set(name, refused('not_trainable', explained?.why ?? 'Its past cannot be told.'))
      return explained?.method
    })
    for (const [feature, value] of await build(job, computable, row))
      found.set(feature.name, { ...value, method: methods.get(feature.name)?.method ?? null })
    return found
  } finally {
    await job.close()
  }
}

type Row = Readonly<Record<string, unknown>>

async function build(
  job: TrainingJob,
  features: readonly Feature[],
  { entity, key, asOf, signal }: PastRow,
): Promise<readonly (readonly [Feature, PastValue])[]> {
  if (features.length === 0) return []
  const path = join(job.folder, 'look.jsonl')
  const columns = entity.key.map(({ name, type }, i) => [name, type === 'int' ? BigInt(key.values[i] ?? 0) : key.values[i]])
  await Bun.write(path, `${stringifyExact({ ...Object.fromEntries(columns), [TIME]: formatTime(asOf) })}\n`)
  try {
    const set = await job.build({ format: 'jsonl', path }, trainingOptions(features), signal)
    const row = parseExact((await Bun.file(set.path).text()).trim()) as Row
    await set.delivered()
    return features.map((feature) => [feature, valueIn(row, feature)] as const)
  } catch (error) {
    // One that fails must not hide the others: each is asked for by itself.
    const [only] = features
    if (features.length > 1) {
      const each: (readonly [Feature, PastValue])[] = []
      for (const feature of features) each.push(...(await build(job, [feature], { entity, key, asOf, signal })))
      return each
    }
    if (!only || !(error instanceof FabraError) || signal.aborted) throw error
    return [[only, failed(error)]]
  }
}

function trainingOptions(features: readonly Feature[]): TrainingOptions {
  return {
    features: features.map(({ name }) => name),
    timestamp: TIME,
    timezone: null,
    method: null,
    snapshot: null,
    format: 'jsonl',
    asServed: false,
    latestKnowledge: false,
    deterministic: false,
    withStatus: true,
    withEventTimestamp: true,
    fresh: true,
    sample: null,
  }
}

function valueIn(row: Row, { name, columns }: Feature): PastValue {
  const status = String(row[`${name}__status`] ?? 'missing')
  const eventAt = row[`${name}__event_timestamp`]
  const [only] = columns
  const value =
    only?.name === null
      ? (row[name] ?? null)
      : Object.fromEntries(columns.map((column) => [column.name, row[`${name}.${column.name}`] ?? null]))
  return {
    value: status === 'missing' ? 'null' : stringifyExact(value),
    status,
    method: null,
    eventAt: typeof eventAt === 'string' ? parseTime(eventAt) : null,
    error: null,
  }
}

function refused(code: FabraError['code'], message: string): PastValue {
  return failed(new FabraError(code, message))
}
