/** Ages: relative, with the exact time on hover. */
import { ageOf } from '../core/now.ts'
import { age, interval, moment, NONE, roughly } from '../core/words.ts'

/** @param of RFC 3339. */
export function Ago({ of, short = false, none = NONE }: { of: string | null | undefined; short?: boolean; none?: string }) {
  const ms = ageOf(of)
  if (ms === null || !of) return <>{none}</>
  return (
    <time dateTime={of} title={moment(of)}>
      {short ? roughly(ms) : age(ms)}
    </time>
  )
}

/** The tick is when the refresh is due, at two thirds; the whole width is one and a half intervals. */
export function AgeBar({ ms, of, wide = false }: { ms: number | null; of: number | null; wide?: boolean }) {
  const size = wide ? { class: 'wide', preserveAspectRatio: 'none' } : { width: 60, height: 8 }
  const part = ms === null || of === null || of === 0 ? 0 : Math.min(1, ms / (of * 1.5))
  return (
    <svg viewBox="0 0 60 8" aria-hidden="true" {...size}>
      <path class="track" d="M0 2h60v4H0" />
      {part > 0 && <path class={`fill${part > 2 / 3 ? ' f-stale' : ''}`} d={`M0 2h${(part * 60).toFixed(1)}v4H0`} />}
      <path class="due" d="M40.5 0v8" />
    </svg>
  )
}

/** What an age is an age of: the interval, with `~` before one that is learnt. */
export function intervalWord(ms: number | null, isLearnt = false): string {
  if (ms === null) return NONE
  return isLearnt ? `~ ${roughly(ms)}` : interval(ms)
}
