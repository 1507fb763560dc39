/** What a finished training set holds, told to whoever will learn from it: what is legal, but seldom meant, is said. */
import type { Micros } from '../clock.ts'
import { recordedWords } from '../definition/history-sample.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { RunOptions, TableColumn } from '../store/ports/source-engine.ts'
import type { AsOfRequest, OutputColumn, OutputFeature, TrainingWorkspace } from '../store/ports/training-store.ts'
import type { Method } from './options.ts'

/** One column of the set that comes from a feature. Its four counts make up the rows. */
export interface ColumnSummary {
  readonly column: string
  readonly feature: string
  readonly method: Method
  /** Rows with a value that is not null. */
  readonly values: number
  /** Rows whose value is known to be nothing. */
  readonly null: number
  /** Rows without a value that got the default. */
  readonly default: number
  readonly missing: number
  /** Of the whole feature, null where it was not timed. */
  readonly seconds: number | null
}

export interface TrainingWarning {
  /** A column, a source or the labels. */
  readonly subject: string
  readonly message: string
  readonly hint: string
}

/** Keys that are looked for in the sources. */
const KEYS_LOOKED_FOR = 1_000

export interface Summarized {
  readonly workspace: TrainingWorkspace
  readonly features: readonly (OutputFeature & { readonly method: Method; readonly seconds: number | null })[]
  readonly columns: readonly OutputColumn[]
  readonly rows: number
  readonly run: RunOptions
}

export async function summarize({ workspace, features, columns, rows, run }: Summarized): Promise<readonly ColumnSummary[]> {
  const valueColumns = columns.filter(({ content }) => content === 'value')
  const counts = await workspace.counts({ features, columns: valueColumns }, run)
  return valueColumns.flatMap((column, i) => {
    const given = features[column.feature]
    if (!given) return []
    const { found = 0, given: values = 0 } = counts[i] ?? {}
    const { feature, method, seconds } = given
    const unknown = given.unrecorded?.count ?? 0
    const none = rows - found - unknown
    return {
      column: column.name,
      feature: feature.name,
      method,
      values,
      null: found - values,
      default: feature.defaults === null ? 0 : none,
      missing: feature.defaults === null ? none + unknown : unknown,
      seconds,
    }
  })
}

export interface Doubts extends Summarized {
  readonly summary: readonly ColumnSummary[]
  readonly labels: readonly TableColumn[]
  readonly entities: readonly Entity[]
  readonly now: Micros
  /** Sources that a feature's SQL reads; null where that is not known. */
  readonly sourcesOf: (feature: Feature) => readonly string[] | null
  /** Whether a source has any of these keys in its column of that name; null where it has no such column, or it cannot be told soon. */
  readonly hasAnyKey: (source: string, column: string, keys: readonly string[]) => Promise<boolean | null>
  /** The question that was asked of history, with what was known later; null where that was asked already. */
  readonly latest: (feature: Feature) => AsOfRequest | null
}

/** What is legal in a set and its labels, but seldom meant. */
export async function doubts(asked: Doubts): Promise<readonly TrainingWarning[]> {
  if (asked.rows === 0) return []
  return [...(await futureLabels(asked)), ...(await strangeKeys(asked)), ...notRecorded(asked), ...(await emptyColumns(asked))]
}

async function futureLabels({ workspace, rows, now, run }: Doubts): Promise<TrainingWarning[]> {
  const { count, latest } = await workspace.laterThan(now, run)
  if (count === 0 || latest === null) return []
  return [
    {
      subject: 'labels',
      message: `${ofRows(count, rows)} from the future, up to ${formatTime(latest)}: what will have happened by then is not known yet.`,
      hint: 'Check their times and time zone, or leave such rows out.',
    },
  ]
}

/** Of each entity, key columns whose values none of the sources has. */
async function strangeKeys({ workspace, features, entities, labels, sourcesOf, hasAnyKey, run }: Doubts): Promise<TrainingWarning[]> {
  const warnings: TrainingWarning[] = []
  for (const [e, entity] of entities.entries()) {
    const own = features.filter(({ feature }) => feature.entity === entity.name)
    const sources = [...new Set(own.flatMap(({ feature, method }) => (method === 'recompute' ? (sourcesOf(feature) ?? []) : [])))]
    for (const [i, { name, type }] of entity.key.entries()) {
      const keys = await workspace.someKeys({ entity: e, column: i, limit: KEYS_LOOKED_FOR }, run)
      const without: string[] = []
      let isFound = false
      for (const source of sources) {
        const has = await hasAnyKey(source, name, keys)
        if (has === false) without.push(source)
        isFound ||= has === true
      }
      if (isFound || without.length === 0) continue
      const isNumber = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DOUBLE|FLOAT|DECIMAL.*)$/.test(
        labels.find((column) => column.name === name)?.type ?? '',
      )
      warnings.push({
        subject: `labels' ${name}`,
        message: `None of the ${keys.length === 1 ? 'key' : `${keys.length} keys`} looked for is in ${without.map((source) => `"${source}"`).join(', ')}, such as ${JSON.stringify(keys[0] ?? '')}.`,
        hint:
          isNumber && type === 'string'
            ? `The labels hold numbers where ${entity.name}'s key is a string: leading zeros or a prefix may be lost. Write them as texts.`
            : 'Check that the labels name the same things as the sources.',
      })
    }
  }
  return warnings
}

function notRecorded({ features, rows }: Doubts): TrainingWarning[] {
  return features.flatMap(({ feature, unrecorded }) => {
    if (!unrecorded) return []
    const message = `It is not known what ${unrecorded.count.toLocaleString('en')} of ${rows.toLocaleString('en')} rows were served: it is ${recordedWords(feature)}. Their status is not_recorded.`
    return [
      { subject: feature.name, message, hint: 'Leave them out, or let the past be recomputed: without --as-served and --method history.' },
    ]
  })
}

async function emptyColumns(asked: Doubts): Promise<TrainingWarning[]> {
  const { summary, rows, features } = asked
  const warnings: TrainingWarning[] = []
  for (const one of summary) {
    const every = rows === 1 ? 'the one row' : `every one of ${rows.toLocaleString('en')} rows`
    if (one.values > 0) continue
    const given = features.find(({ feature }) => feature.name === one.feature)
    if (given?.unrecorded) continue
    const later = given && one.null === 0 && one.method === 'history' ? await knownLater(asked, given) : 0
    const state =
      one.default === rows
        ? `has its default in ${every}`
        : one.missing === rows
          ? `is missing in ${every}`
          : `holds no value: it is null or ${one.default > 0 ? 'its default' : 'missing'} in ${every}`
    const [message, hint] =
      one.null === rows
        ? [`is null in ${every}.`, "Check the feature's SQL or function, and the keys and times of the labels."]
        : later > 0
          ? [
              `${state}, though ${later.toLocaleString('en')} of them have values with earlier event times: these arrived only after the labels' times.`,
              'A value pushed with a past event_timestamp was not known then. Count it all the same with --latest-knowledge.',
            ]
          : [`${state}.`, 'Check that the labels name keys that are known, at times when there was data.']
    warnings.push({ subject: one.column, message, hint })
  }
  return warnings
}

/** In how many rows there would be a value, if what arrived later were known. */
async function knownLater({ workspace, entities, columns, latest, run }: Doubts, given: OutputFeature): Promise<number> {
  const request = latest(given.feature)
  if (request === null) return 0
  const entity = entities.findIndex(({ name }) => name === given.feature.entity)
  const [values] = await workspace.asOf([request], entity, run)
  if (values === undefined) return 0
  const [counted] = await workspace.counts(
    {
      features: [{ ...given, values }],
      columns: columns.slice(0, 1).map((column) => ({ ...column, feature: 0, column: 0, content: 'value' })),
    },
    run,
  )
  return counted?.found ?? 0
}

function ofRows(count: number, rows: number): string {
  if (count === rows) return rows === 1 ? 'The one row is' : `All ${rows.toLocaleString('en')} rows are`
  return `${count.toLocaleString('en')} of ${rows.toLocaleString('en')} rows ${count === 1 ? 'is' : 'are'}`
}
