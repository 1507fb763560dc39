/** The time that the page is of. It stands before the table, because it governs it; bars above it count changes, so that one knows where to drag. */
import { useSignal } from '@preact/signals'
import { useLayoutEffect } from 'preact/hooks'
import { onKey } from '../../core/keys.ts'
import { now } from '../../core/now.ts'
import { age, day, minute } from '../../core/words.ts'

const HALF_HOUR_MS = 1_800_000
const DAY_MS = 86_400_000
const SPANS: readonly [word: string, ms: number][] = [
  ['1d', DAY_MS],
  ['7d', 7 * DAY_MS],
  ['30d', 30 * DAY_MS],
]

export interface SliderProps {
  /** Null: now. In milliseconds. */
  readonly at: number | null
  readonly end: number
  readonly spanMs: number
  readonly changes: { readonly from: string; readonly step_ms: number; readonly counts: readonly number[] } | undefined
  /** How the values of then were found. */
  readonly method: string
  readonly onMove: (at: number | null) => void
  readonly onSpan: (word: string) => void
}

export function Slider(props: SliderProps) {
  const { at, end, spanMs, onMove } = props
  const start = end - spanMs
  const step = spanMs <= DAY_MS ? HALF_HOUR_MS / 6 : spanMs <= 7 * DAY_MS ? HALF_HOUR_MS : 4 * HALF_HOUR_MS
  // While one drags, the page is asked for when the hand rests.
  const dragged = useSignal<number | null>(null)
  const shown = dragged.value ?? at
  const move = (ms: number) => onMove(ms >= end - step / 2 ? null : Math.max(start, ms))
  // At once: the next press moves on from here.
  useLayoutEffect(() => {
    const by = (direction: number) => (event: KeyboardEvent) => move((at ?? end) + direction * (event.shiftKey ? DAY_MS : HALF_HOUR_MS))
    const undo = [onKey('ArrowLeft', by(-1)), onKey('ArrowRight', by(1))]
    return () => {
      for (const one of undo) one()
    }
  })
  return (
    <div class="asof" role="group" aria-label="as of">
      <div class="row">
        <span class="label">as of</span>
        <output>{shown === null ? 'now' : `${minute(shown)} UTC`}</output>
        <span class="soft">{shown === null ? 'live values' : `${age(now() - shown)} ago`}</span>
        <span class="soft only-wide">{props.method}</span>
        <span class="right pills">
          <Moment at={at} onMove={move} />
          <span class="seg" role="group" aria-label="span">
            {SPANS.map(([word, ms]) => (
              <button key={word} aria-pressed={ms === spanMs} onClick={() => props.onSpan(word)}>
                {word}
              </button>
            ))}
          </span>
          <button disabled={at === null} onClick={() => onMove(null)}>
            back to now
          </button>
        </span>
      </div>
      <Bars of={props.changes} start={start} end={end} />
      <input
        type="range"
        aria-label="as of, over the time below"
        aria-valuetext={shown === null ? 'now' : `${minute(shown)} UTC`}
        min={start}
        max={end}
        step={step}
        value={shown ?? end}
        onInput={(event) => {
          dragged.value = Number(event.currentTarget.value)
        }}
        onChange={(event) => {
          dragged.value = null
          move(Number(event.currentTarget.value))
        }}
      />
      <Days start={start} end={end} />
    </div>
  )
}

/** Any moment at all, written. */
function Moment({ at, onMove }: { at: number | null; onMove: (ms: number) => void }) {
  return (
    <input
      type="datetime-local"
      aria-label="as of, in UTC"
      value={at === null ? '' : new Date(at).toISOString().slice(0, 16)}
      onChange={(event) => {
        const ms = Date.parse(`${event.currentTarget.value}Z`)
        if (!Number.isNaN(ms)) onMove(ms)
      }}
    />
  )
}

function Bars({ of, start, end }: { of: SliderProps['changes']; start: number; end: number }) {
  const counts = of?.counts ?? []
  const most = Math.max(...counts, 1)
  const from = of ? Date.parse(of.from) : start
  const x = (ms: number) => (((ms - start) / (end - start)) * 1_000).toFixed(1)
  const width = of ? Math.max(1.5, (of.step_ms / (end - start)) * 1_000 * 0.7) : 0
  const bars = counts
    .map((count, i) =>
      count === 0 ? '' : `M${x(from + (i + 0.15) * (of?.step_ms ?? 0))} 24v-${(3 + (count / most) * 19).toFixed(1)}h${width.toFixed(1)}V24`,
    )
    .join('')
  return (
    <svg class="rail-svg" viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" aria-label="values that changed, over time">
      <title>values that changed</title>
      <path class="fill" d={bars} />
    </svg>
  )
}

function Days({ start, end }: { start: number; end: number }) {
  const every = end - start > 10 * DAY_MS ? 5 * DAY_MS : end - start > 2 * DAY_MS ? DAY_MS : DAY_MS / 4
  const first = Math.ceil(start / every) * every
  const marks = Array.from({ length: Math.floor((end - first) / every) + 1 }, (_, i) => first + i * every)
  return (
    <div class="days" aria-hidden="true">
      {marks.map((ms) => (
        <span key={ms} style={{ left: `${((ms - start) / (end - start)) * 100}%` }}>
          {every < DAY_MS ? new Date(ms).toISOString().slice(11, 16) : day(ms)}
        </span>
      ))}
    </div>
  )
}
