/** A value holds until the next one: how one was over a time, with a rule at the moment that is looked at. */
import type { HistoryStep } from '../../http/wire.ts'

const WIDTH = 240

export function Steps({ of, from, to, at }: { of: readonly HistoryStep[]; from: number; to: number; at: number | null }) {
  if (of.length === 0) return null
  const scale = scaleOf(of.map(({ value }) => value))
  const x = (ms: number) => (Math.min(1, Math.max(0, (ms - from) / (to - from))) * WIDTH).toFixed(1)
  let path = ''
  let isDown = true
  for (const { at: when, value } of of) {
    const y = scale(value)
    if (y === null) {
      if (!isDown) path += `H${x(Date.parse(when))}`
      isDown = true
    } else {
      path += isDown ? `M${x(Date.parse(when))} ${y}` : `H${x(Date.parse(when))}V${y}`
      isDown = false
    }
  }
  if (!isDown) path += `H${WIDTH}`
  return (
    <svg class="st" viewBox={`0 0 ${WIDTH} 16`} preserveAspectRatio="none" aria-hidden="true">
      <path class="ln" d={path} />
      {at !== null && <path class="cross here" d={`M${x(at)} 0v16`} />}
    </svg>
  )
}

/** Numbers by size; other values by the order in which they first came. */
function scaleOf(values: readonly unknown[]): (value: unknown) => string | null {
  const numbers = values.map(asNumber)
  const isNumbers = values.every((value, i) => value === undefined || value === null || numbers[i] !== null)
  const words = [...new Set(values.map((value) => JSON.stringify(value)))]
  const sizeOf = (value: unknown) => (isNumbers ? asNumber(value) : value === undefined ? null : words.indexOf(JSON.stringify(value)))
  const known = values.map(sizeOf).filter((size) => size !== null)
  const [low, high] = [Math.min(...known), Math.max(...known)]
  return (value) => {
    const size = sizeOf(value)
    if (size === null) return null
    return high === low ? '8' : (15 - ((size - low) / (high - low)) * 14).toFixed(1)
  }
}

function asNumber(value: unknown): number | null {
  if (typeof value === 'number') return value
  return typeof value === 'boolean' ? Number(value) : null
}
