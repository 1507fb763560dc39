/** How what is wrong with a feature has been: the figure that its reason tells of, over the last day. */
import type { FiguresView } from '../../observability/figures-elsewhere.ts'
import { FIELD, known, share } from '../../observability/read-figures.ts'
import { WINDOWS_MS } from '../../observability/step-series.ts'
import type { Attention, Reason } from '../wire.ts'
import { round } from './figures-json.ts'

const [HOUR_MS = 0, DAY_MS = 0] = WINDOWS_MS
/** Over a day, what is known of less would be a point. */
const YOUNG_MS = 2 * HOUR_MS

const FIGURES: Readonly<Record<Reason['code'], ((row: Float64Array) => number | null) | null>> = {
  failing: (row) => share(row[FIELD.error] ?? 0, row[FIELD.reads] ?? 0),
  late: (row) => known(row[FIELD.ageP50]),
  pushes_stopped: (row) => known(row[FIELD.ageP50]),
  nulls: (row) => share(row[FIELD.nulls] ?? 0, row[FIELD.looked] ?? 0),
  slow: (row) => known(row[FIELD.latencyP99]),
  drifted: null,
}

/** Null: nobody has read it, or nothing is kept of it over time. */
export function trendOf({ code }: Reason, figures: FiguresView | undefined, nowMs: number): Attention['trend'] {
  const figure = FIGURES[code]
  if (!figure || !figures) return null
  const { rows, stepMs } = figures.over(nowMs - figures.sinceMs < YOUNG_MS ? HOUR_MS : DAY_MS)
  const values = rows.map((row) => (row ? round(figure(row)) : null))
  return values.every((value) => value === null) ? null : { step_ms: stepMs, values }
}
