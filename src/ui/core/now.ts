/** The present as the server knows it: ages are counted from its clock, which may be another than the browser's (`--clock`). */
import { signal } from '@preact/signals'

const skew = signal(0)
/** Changes once a second, for ages that grow while one looks at them. */
const tick = signal(Date.now())

setInterval(() => {
  if (!document.hidden) tick.value = Date.now()
}, 1_000)

/** @param time What an answer says is its present. */
export function setNow(time: string): void {
  const ms = Date.parse(time)
  if (Number.isNaN(ms)) return
  const found = ms - Date.now()
  // Answers travel for some milliseconds: not every one of them moves all ages.
  if (Math.abs(found - skew.value) > 250) skew.value = found
}

/** In milliseconds. What reads it is drawn again as time passes. */
export function now(): number {
  return tick.value + skew.value
}

export function ageOf(time: string | null | undefined): number | null {
  if (!time) return null
  return Math.max(0, now() - Date.parse(time))
}
