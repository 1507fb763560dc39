import type { Run } from '../../http/wire.ts'
import { now } from '../core/now.ts'

const WIDTH = 3_600

/** One line of time until now: ▲ failed, a bar done, an open box under way, dashes overdue. */
export function RunTimeline({ runs, spanMs, dueSince }: { runs: readonly Run[]; spanMs: number; dueSince: number | null }) {
  const end = now()
  const x = (ms: number) => Math.round(Math.max(0, WIDTH * (1 - (end - ms) / spanMs)))
  const shown = runs.filter((run) => end - Date.parse(run.finished_at ?? run.started_at) < spanMs)
  const bar = shown
    .filter(({ state }) => state === 'done')
    .map((run) => `M${x(Date.parse(run.started_at))} 12h${Math.max(9, Math.round(((run.duration_ms ?? 0) / spanMs) * WIDTH))}`)
  const failed = shown.filter(({ state }) => state === 'failed' || state === 'partly_failed')
  const running = shown.find(({ state }) => state === 'running')
  return (
    <svg class="lane" viewBox={`0 0 ${WIDTH} 24`} preserveAspectRatio="none" role="img" aria-label={words(shown.length, failed.length)}>
      {dueSince !== null && <path class="ln dash s-stale" d={`M${x(dueSince)} 12H${WIDTH}`} />}
      {bar.length > 0 && <path class="run" d={bar.join('')} />}
      {running && <path class="due" d={`M${WIDTH} 7H${x(Date.parse(running.started_at))}v10H${WIDTH}`} />}
      {failed.length > 0 && (
        <path
          class="f-error"
          d={apart(failed.map((run) => x(Date.parse(run.started_at))))
            .map((at) => `M${at - 20} 17h40l-20-11`)
            .join('')}
        />
      )}
    </svg>
  )
}

/** Triangles that would lie over each other are drawn once. */
function apart(places: readonly number[]): number[] {
  const kept: number[] = []
  for (const place of places) if (kept.every((other) => Math.abs(other - place) >= 40)) kept.push(place)
  return kept
}

function words(all: number, failed: number): string {
  return `${all} ${all === 1 ? 'run' : 'runs'}${failed === 0 ? '' : `, ${failed} failed`}`
}
