/** A training set looked at before it is made: some of its rows, and for each column what it holds, how that was told, and what is odd about it. */
import { resolveRefs } from '../../definition/refs.ts'
import { parseExact } from '../../definition/value.ts'
import { measureOf, ValueSample } from '../../observability/value-sample.ts'
import type { TrainingReport, TrainingSet } from '../../training/job.ts'
import type { TrainingOptions } from '../../training/options.ts'
import type { TrainingWarning } from '../../training/summary.ts'
import type { HttpOptions } from '../options.ts'
import type { PreviewColumn, PreviewRow, PreviewWarning, State, TrainingPreview } from '../wire.ts'
import { DRIFTED, overBinsOf, psiOf } from './drift.ts'
import { distributionJson } from './figures-json.ts'
import { separation } from './separation.ts'

/** One column tells the label if it orders the rows so well. */
const LEAKS = 0.97
/** Of fewer rows nothing is said. */
const ENOUGH = 30
const NULLS_APART = 0.2

type Row = Readonly<Record<string, unknown>>

export async function previewOf(options: HttpOptions, set: TrainingSet, asked: TrainingOptions): Promise<TrainingPreview> {
  const text = await Bun.file(set.path).text()
  const rows = text.split('\n').flatMap((line) => (line === '' ? [] : [parseExact(line) as Row]))
  const names = Object.keys(rows[0] ?? {}).filter((name) => !name.endsWith('__status'))
  const known = columnsOf(options, asked)
  const labels = names.filter((name) => !known.has(name) && !isKeyOrTime(options, asked, name))
  const columns = names.map((name) => columnOf(options, { name, rows, labels, known, report: set.report }))
  const { warnings } = set.report
  return {
    rows: set.sampled?.of ?? rows.length,
    columns,
    preview: rows.map((row, i): PreviewRow => ({ row: set.sampled?.rows[i] ?? i, ...cells(row, names, known) })),
    warnings: warnings.filter(({ subject }) => !columns.some((column) => isAbout(subject, column))).map(asWarning),
  }
}

interface ColumnOrigin {
  readonly feature: string
  readonly column: number
  readonly type: string | null
}

function columnsOf({ serving }: HttpOptions, { features }: TrainingOptions): ReadonlyMap<string, ColumnOrigin> {
  const refs = resolveRefs(serving().registry, features)
  return new Map(
    refs.map(({ name, feature, column }) => [name, { feature: feature.name, column, type: feature.columns[column]?.type ?? null }]),
  )
}

function isKeyOrTime({ serving }: HttpOptions, { timestamp, features }: TrainingOptions, name: string): boolean {
  const { registry } = serving()
  if (name === timestamp) return true
  return resolveRefs(registry, features).some(({ feature }) => {
    const keys = registry.entities.get(feature.entity)?.key ?? []
    return name in feature.inputs || keys.some((column) => column.name === name)
  })
}

interface Looked {
  readonly name: string
  readonly rows: readonly Row[]
  readonly labels: readonly string[]
  readonly known: ReadonlyMap<string, ColumnOrigin>
  readonly report: TrainingReport
}

function columnOf(options: HttpOptions, { name, rows, labels, known, report }: Looked): PreviewColumn {
  const of = known.get(name)
  const values = rows.map((row) => row[name] ?? null)
  const nullShare = values.length === 0 ? null : values.filter((value) => value === null).length / values.length
  const nothing = { name, feature: null, method: null, null_share: nullShare, distribution: null, served: null, warnings: [] }
  if (!of) return nothing
  const sample = new ValueSample(measureOf(of.type))
  for (const value of values) sample.push(textOf(value))
  const figures = sample.figures()
  const served = options.insight.statistics?.of(of.feature)?.columns[of.column]
  const servedFigures = served && served.values.seen > 0 ? served.values.figures() : undefined
  const shape = { column: null, name, type: of.type }
  return {
    ...nothing,
    feature: of.feature,
    method: report.features.find(({ feature }) => feature === of.feature)?.method ?? null,
    distribution: distributionJson(shape, figures),
    served: served && servedFigures ? distributionJson(served.shape, overBinsOf(figures, served.values)) : null,
    warnings: [
      ...report.warnings.filter(({ subject }) => subject === name || subject === of.feature).map(asWarning),
      ...leaks(name, values, labels, rows),
      ...apart(sample, servedFigures && served?.values),
    ],
  }
}

/** Numbers too large for a number are bigints. */
function textOf(value: unknown): string {
  return typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'null')
}

function leaks(name: string, values: readonly unknown[], labels: readonly string[], rows: readonly Row[]): PreviewWarning[] {
  return labels.flatMap((label) => {
    const separated = separation(
      values,
      rows.map((row) => row[label]),
      ENOUGH,
    )
    if (separated === null || separated < LEAKS) return []
    return {
      code: 'leak' as const,
      message: `"${name}" leaks: alone it tells ${Math.floor(separated * 100)} % of "${label}".`,
      hint: 'If its events arrive after the label, give their source a delay, or the column that says when they became known (available).',
    }
  })
}

function apart(values: ValueSample, servedValues: ValueSample | undefined): PreviewWarning[] {
  const [now, served] = [values.figures(), servedValues?.figures()]
  if (!servedValues || !served || now.kept < ENOUGH || served.kept < ENOUGH) return []
  const found: PreviewWarning[] = []
  if (Math.abs((now.nullShare ?? 0) - (served.nullShare ?? 0)) > NULLS_APART) {
    const message = `${percent(now.nullShare)} are null here, ${percent(served.nullShare)} of what is served today.`
    found.push({ code: 'nulls', message, hint: 'Look whether the feature had data at the times of the labels.' })
  }
  const index = psiOf(values, servedValues)
  if (index !== null && index > DRIFTED)
    found.push({
      code: 'drifted',
      message: `Its values are spread otherwise than those that are served today (PSI ${index.toFixed(2)}).`,
      hint: 'A model that learns from these rows meets others: take labels of later times, or find out what changed.',
    })
  return found
}

function cells(row: Row, names: readonly string[], known: ReadonlyMap<string, ColumnOrigin>): Pick<PreviewRow, 'values' | 'states'> {
  return {
    values: names.map((name) => plain(row[name])),
    states: names.map((name) => {
      const of = known.get(name)
      return of ? ((row[`${of.feature}__status`] ?? null) as State | null) : null
    }),
  }
}

/** JSON has no numbers that large: they are told as texts. */
function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : (value ?? null)
}

function isAbout(subject: string, { name, feature }: PreviewColumn): boolean {
  return feature !== null && (subject === name || subject === feature)
}

function asWarning({ message, hint }: TrainingWarning): PreviewWarning {
  return { code: 'other', message, hint }
}

function percent(share: number | null): string {
  return `${Math.round((share ?? 0) * 100)} %`
}
