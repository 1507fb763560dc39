/** Why a feature wants attention, in words. */
import type { Reason, SourceLine } from '../../http/wire.ts'
import { age, interval, number, took } from './words.ts'

const WORDS: Readonly<Record<Reason['code'], string>> = {
  failing: 'failing',
  late: 'late',
  pushes_stopped: 'pushes stopped',
  nulls: 'nulls',
  slow: 'slow',
  drifted: 'drifted',
}

export function reasonWord({ code }: Reason): string {
  return WORDS[code] ?? code
}

/** The figure that is odd, or the usual one beside it, in the unit of the reason. */
export function figure(value: number | null, { unit, code }: Reason): string {
  if (value === null) return '–'
  switch (unit) {
    case 'ms':
      return code === 'slow' ? took(value) : value % 60_000 === 0 ? interval(value) : age(value)
    case 'share':
      return `${Math.round(value * 100)} %`
    case 'runs':
      return value === 0 ? '0' : `${number(value)} ${value === 1 ? 'run' : 'runs'}`
    case 'psi':
      return value.toFixed(2)
  }
}

export function placeText(place: SourceLine | null | undefined): string | null {
  return place ? `${place.file}:${place.line}` : null
}
