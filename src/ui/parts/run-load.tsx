/** How many runs were under way at once, and the last five minutes to scale. */
import type { Run } from '../../http/wire.ts'
import { now } from '../core/now.ts'
import { number } from '../core/words.ts'
import { Mark } from './mark.tsx'
import { TimeAxis } from './plot.tsx'

const BINS = 60
const FIVE_MS = 300_000
const LINES = 4
const WIDTH = 1_200

interface Span {
  readonly from: number
  readonly to: number
  readonly isFailed: boolean
}

function spansOf(runs: readonly Run[], end: number): Span[] {
  return runs.map((run) => ({
    from: Date.parse(run.started_at),
    to: run.finished_at === null ? end : Date.parse(run.finished_at),
    isFailed: run.state === 'failed' || run.state === 'partly_failed',
  }))
}

export function UnderWay({ runs, spanMs }: { runs: readonly Run[]; spanMs: number }) {
  const end = now()
  const spans = spansOf(runs, end)
  const step = spanMs / BINS
  const counts = atOnce(spans, end - spanMs, step)
  const most = Math.max(...counts, 1)
  const bars = counts.map((count, i) => (count === 0 ? '' : `M${i + 0.08} 40V${(40 - (count / most) * 39).toFixed(1)}h.84V40`)).join('')
  const x = (ms: number) => Math.max(0, Math.round(3_600 * (1 - (end - ms) / spanMs)))
  const failed = spans.filter(({ isFailed }) => isFailed)
  return (
    <>
      <div class="plot">
        <div class="cap">
          <span>Under way at once</span>
          <span class="key">
            <Mark of="error" word="failed" /> a run failed
          </span>
          <span class="read mono">{number(runs.filter(({ state }) => state === 'running').length)} now</span>
        </div>
        <div class="ys" aria-hidden="true">
          <span>{most}</span>
          <span>0</span>
        </div>
        <svg class="low" viewBox="0 0 60 40" preserveAspectRatio="none" role="img" aria-label={`at most ${most} at once`}>
          <path class="grid" d="M0 .5h60M0 39.5h60" />
          <path class="fill" d={bars} />
        </svg>
        <div class="lanes">
          <svg class="lane" viewBox="0 0 3600 24" preserveAspectRatio="none" role="img" aria-label={`${failed.length} failed`}>
            <path class="f-error" d={failed.map(({ from }) => `M${x(from) - 16} 17h32l-16-11`).join('')} />
          </svg>
        </div>
      </div>
      <TimeAxis spanMs={spanMs} />
    </>
  )
}

/** The most that were under way at one moment of each step. */
function atOnce(spans: readonly Span[], start: number, step: number): number[] {
  const turns = spans.flatMap(({ from, to }) => [
    { at: from, by: 1 },
    { at: Math.max(to, from + 1), by: -1 },
  ])
  turns.sort((a, b) => a.at - b.at || a.by - b.by)
  const counts = new Array<number>(BINS).fill(0)
  let present = 0
  let bin = 0
  const countIn = (index: number) => {
    if (index >= 0 && index < BINS) counts[index] = Math.max(counts[index] ?? 0, present)
  }
  for (const { at, by } of turns) {
    const next = Math.min(BINS - 1, Math.floor((at - start) / step))
    for (; bin < next; bin++) countIn(bin + 1)
    present += by
    countIn(next)
  }
  return counts
}

/** Runs one above the other ran at once. */
export function Packed({ runs }: { runs: readonly Run[] }) {
  const end = now()
  const spans = spansOf(runs, end)
    .filter(({ to }) => to > end - FIVE_MS)
    .sort((a, b) => a.from - b.from)
  if (spans.length === 0) return null
  const ends: number[] = []
  const placed = spans.map((span) => {
    const free = ends.findIndex((to) => to <= span.from)
    const line = free >= 0 ? free : Math.min(ends.length, LINES - 1)
    ends[line] = span.to
    return { ...span, line }
  })
  const x = (ms: number) => Math.max(0, WIDTH * (1 - (end - ms) / FIVE_MS))
  const box = ({ from, to, line }: Span & { line: number }) =>
    `M${x(from).toFixed(1)} ${line * 16 + 2}H${Math.max(x(to), x(from) + 3).toFixed(1)}v11H${x(from).toFixed(1)}`
  return (
    <div class="plot">
      <div class="cap">
        <span>Last five minutes</span>
        <span class="key">to scale: a mark's length is its duration; one above the other ran at once</span>
      </div>
      <div class="ys" />
      <svg
        class="pack"
        viewBox={`0 0 ${WIDTH} 64`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${spans.length} runs in the last five minutes`}
      >
        <path class="grid" d={[0, 1, 2, 3, 4, 5].map((i) => `M${i * 240} 0v64`).join('')} />
        <path
          class="fill"
          d={placed
            .filter(({ isFailed }) => !isFailed)
            .map(box)
            .join('')}
        />
        <path
          class="f-error"
          d={placed
            .filter(({ isFailed }) => isFailed)
            .map(box)
            .join('')}
        />
      </svg>
      <div class="xs" aria-hidden="true">
        {[5, 4, 3, 2, 1].map((minutes) => (
          <span key={minutes}>−{minutes} m</span>
        ))}
        <span>now</span>
      </div>
    </div>
  )
}
