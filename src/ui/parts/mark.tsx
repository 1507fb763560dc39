import type { State, StateCounts } from '../../http/wire.ts'
import { href } from '../core/address.ts'
import { number } from '../core/words.ts'

export const STATES: readonly State[] = ['error', 'stale', 'missing', 'default', 'fresh']
export type Shape = State | 'running' | 'warn' | 'none'

/** The state as a shape first and a colour second; its word for screen readers and on hover. */
export function Mark({ of, word = of }: { of: Shape; word?: string }) {
  return (
    <i class={`m ${of}`} title={word}>
      {word}
    </i>
  )
}

/** How many features are in each state; each leads to them. */
export function Counts({ of, links = false }: { of: StateCounts; links?: boolean }) {
  const shown = [...STATES].reverse().filter((state) => of[state] > 0 || state === 'fresh')
  return (
    <>
      {shown.map((state) => {
        const inside = (
          <>
            <Mark of={state} /> {number(of[state])}
          </>
        )
        return links ? (
          <a key={state} href={href(['catalogue'], { state })}>
            {inside}
          </a>
        ) : (
          <span key={state}>{inside}</span>
        )
      })}
    </>
  )
}
