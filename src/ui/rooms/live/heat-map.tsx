import type { TrafficHour } from '../../../http/wire.ts'
import { took } from '../../core/words.ts'
import { TimeAxis } from '../../parts/plot.tsx'

const LEVELS = 5
/** Fewer bands would be as high as paragraphs. */
const FEWEST_BANDS = 8

/** Bands in which there was anything in the hour, and one beside them. */
function shown({ edges_ms: edges, counts }: TrafficHour['latency']): { edges: readonly number[]; counts: readonly (readonly number[])[] } {
  const bands = edges.length - 1
  const used = edges.slice(1).map((_, band) => counts.some((column) => (column[band] ?? 0) > 0))
  if (!used.includes(true)) return { edges, counts }
  let [low, high] = [Math.max(0, used.indexOf(true) - 1), Math.min(bands, used.lastIndexOf(true) + 2)]
  while (high - low < Math.min(FEWEST_BANDS, bands)) {
    if (high < bands) high++
    else low--
  }
  return { edges: edges.slice(low, high + 1), counts: counts.map((column) => column.slice(low, high)) }
}

/** Requests by how long they took, over the last hour. The stronger, the more. */
export function HeatMap({ of, p50, p99 }: { of: TrafficHour; p50: number | null; p99: number | null }) {
  const { edges, counts } = shown(of.latency)
  const bands = edges.length - 1
  const most = Math.max(...counts.flat(), 1)
  if (bands < 1 || counts.length === 0) return null
  const paths = Array.from({ length: LEVELS }, () => '')
  counts.forEach((column, x) => {
    column.forEach((count, band) => {
      if (count === 0) return
      // Few are seen beside many.
      const level = Math.min(LEVELS - 1, Math.floor((Math.log1p(count) / Math.log1p(most)) * LEVELS))
      paths[level] += `M${x} ${bands - band - 0.5}h1`
    })
  })
  return (
    <>
      <div class="plot flush8">
        <div class="cap">
          <span>Latency of requests</span>
          <span class="key">stronger: more requests; a minute by {bands} bands</span>
          <span class="read mono">
            p50 {took(p50)}, p99 {took(p99)}
          </span>
        </div>
        <div class="ys" aria-hidden="true">
          <span>{took(edges.at(-1))}</span>
          <span>{took(edges[Math.floor(bands / 2)])}</span>
          <span>{took(edges[0])}</span>
        </div>
        <svg
          class="tall"
          viewBox={`0 0 ${counts.length} ${bands}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`half of the requests took up to ${took(p50)}, 99 of 100 up to ${took(p99)}`}
        >
          {paths.map((path, level) => path && <path key={`h${level + 1}`} class={`h${level + 1}`} d={path} />)}
        </svg>
      </div>
      <TimeAxis spanMs={of.step_ms * counts.length} />
    </>
  )
}
