/** Small pictures without axes: the number beside each of them is its axis. */
import type { Distribution } from '../../http/wire.ts'

/** The share of true as a bar, the most frequent words or the bins of numbers as columns. */
export function Histogram({ of, width = 80, height = 16 }: { of: Distribution | null; width?: number; height?: number }) {
  if (!of) return null
  if (of.true_share !== null) {
    const y = height / 2 - 3
    return (
      <svg width={width} height={height} aria-hidden="true">
        <path class="track" d={`M0 ${y}h${width}v6H0`} />
        <path class="fill" d={`M0 ${y}h${(width * of.true_share).toFixed(1)}v6H0`} />
      </svg>
    )
  }
  const counts = of.bins?.counts ?? of.top?.slice(0, 8).map(({ share }) => share)
  if (!counts || counts.length === 0) return null
  return <Bars counts={folded(counts, of.bins ? 16 : 8)} width={width} height={height} />
}

/** At most so many columns, each the sum of its neighbours. */
function folded(counts: readonly number[], most: number): readonly number[] {
  if (counts.length <= most) return counts
  const size = counts.length / most
  return Array.from({ length: most }, (_, i) =>
    counts.slice(Math.floor(i * size), Math.floor((i + 1) * size)).reduce((sum, count) => sum + count, 0),
  )
}

/** At least a pixel high where anything is. @param line What it is compared with, on the same scale of shares. */
export function Bars(props: {
  counts: readonly number[]
  line?: readonly number[] | undefined
  width: number
  height: number
  wide?: boolean
}) {
  const { counts, line, width, height } = props
  const shares = sharesOf(counts)
  const lines = line ? sharesOf(line) : []
  const most = Math.max(...shares, ...lines, 1e-9)
  const step = width / Math.max(counts.length, lines.length, 1)
  const top = (share: number) => (share === 0 ? height : Math.min(height - 1, height - (share / most) * (height - 1)))
  const bar = shares.map((share, i) => (share === 0 ? '' : `M${((i + 0.5) * step).toFixed(1)} ${height}V${top(share).toFixed(1)}`)).join('')
  const steps = lines.map((share, i) => `${i === 0 ? 'M0 ' : 'V'}${top(share).toFixed(1)}H${((i + 1) * step).toFixed(1)}`).join('')
  const frame = props.wide ? { preserveAspectRatio: 'none' } : {}
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true" {...frame}>
      {props.wide && <path class="base" d={`M0 ${height - 0.5}H${width}`} />}
      <path class="bars" stroke-width={Math.max(1, Math.min(step * 0.8, width / 10)).toFixed(1)} d={bar} />
      {steps && <path class="ln ink" d={steps} />}
    </svg>
  )
}

function sharesOf(counts: readonly number[]): number[] {
  const sum = counts.reduce((all, count) => all + count, 0)
  return counts.map((count) => (sum === 0 ? 0 : count / sum))
}

/** A line of its own scale. Where nothing is known there is none. */
export function Spark({ of, label, from = 0 }: { of: readonly (number | null)[]; label: string; from?: number | null }) {
  const width = Math.max(1, of.length - 1)
  return (
    <svg class="sp" viewBox={`0 0 ${width} 32`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="base" d={`M0 31.5H${width}`} />
      <path class="ln" d={linePath(of, 32, from)} />
    </svg>
  )
}

/** @param from Lowest value of the scale; null: the lowest that there is. */
export function linePath(values: readonly (number | null)[], height: number, from: number | null = 0): string {
  const known = values.filter((value): value is number => value !== null)
  const low = from ?? Math.min(...known)
  const high = Math.max(...known, low)
  const y = (value: number) => (high === low ? height - 1.5 : height - 1.5 - ((value - low) / (high - low)) * (height - 3)).toFixed(1)
  let path = ''
  values.forEach((value, i) => {
    if (value === null) return
    const isFirst = (values[i - 1] ?? null) === null
    // As wide as its step: a point would hardly be seen.
    if (isFirst && (values[i + 1] ?? null) === null) path += `M${Math.max(0, i - 1)} ${y(value)}h1`
    else path += `${isFirst ? 'M' : 'L'}${i} ${y(value)}`
  })
  return path
}

/** How long something took, against what is usual: the tick. */
export function TookBar({ ms, usual, scale }: { ms: number; usual: number | null; scale: number }) {
  const x = (value: number) => Math.min(96, (value / Math.max(scale, 1)) * 96).toFixed(1)
  return (
    <svg width={96} height={8} aria-hidden="true">
      <path class="fill" d={`M0 2h${Math.max(1, Number(x(ms)))}v4H0`} />
      {usual !== null && <path class="due" d={`M${x(usual)} 0v8`} />}
    </svg>
  )
}

export function Progress({ share, wide = false }: { share: number; wide?: boolean }) {
  const frame = wide ? { class: 'prog', preserveAspectRatio: 'none' } : { width: 96, height: 8 }
  return (
    <svg viewBox="0 0 96 8" aria-hidden="true" {...frame}>
      <path class="track" d="M0 2h96v4H0" />
      <path class="fill" d={`M0 2h${(Math.min(1, share) * 96).toFixed(1)}v4H0`} />
    </svg>
  )
}
