import { type Bins, binsOf, type Quantiles, quantilesOf, topOf } from './distribution.ts'

/** What is measured of a value: itself, its time, how many elements it has, its text, whether it is true. */
export type Measure = 'number' | 'time' | 'elements' | 'text' | 'truth'

/** Values that are remembered of a column. */
export const SAMPLE_SIZE = 512
/** The first ones need no more room than they are. */
const FIRST_SIZE = 64
const LONGEST_TEXT = 64
/** Longer lists are not counted: reading them would take longer than it tells. */
const LONGEST_JSON = 8_192
const MOST_TOP = 16

const MEASURES: Readonly<Record<string, Measure>> = {
  int: 'number',
  float: 'number',
  timestamp: 'time',
  list: 'elements',
  dict: 'elements',
  json: 'elements',
  bool: 'truth',
}

export function measureOf(type: string | null): Measure {
  return (type === null ? undefined : MEASURES[type]) ?? 'text'
}

export interface SampleFigures {
  readonly measure: Measure
  /** Values offered, and those remembered. */
  readonly seen: number
  readonly kept: number
  readonly nullShare: number | null
  readonly bins: Bins | null
  readonly quantiles: Quantiles | null
  readonly top: readonly { readonly value: string; readonly share: number }[] | null
  readonly trueShare: number | null
}

/** The last values of one column, as JSON texts come in. */
export class ValueSample {
  readonly measure: Measure
  /** NaN: null. */
  private numbers: Float64Array
  private readonly texts: (string | null)[] = []
  seen = 0

  constructor(measure: Measure) {
    this.measure = measure
    this.numbers = new Float64Array(measure === 'text' ? 0 : FIRST_SIZE)
  }

  /** @returns whether it is null. */
  push(json: string): boolean {
    const at = this.seen++ % SAMPLE_SIZE
    if (this.measure === 'text') {
      this.texts[at] = json === 'null' ? null : textOf(json)
      return json === 'null'
    }
    if (at >= this.numbers.length) this.grow()
    this.numbers[at] = json === 'null' ? Number.NaN : numberOf(this.measure, json)
    return json === 'null'
  }

  private grow(): void {
    const larger = new Float64Array(Math.min(SAMPLE_SIZE, this.numbers.length * 4))
    larger.set(this.numbers)
    this.numbers = larger
  }

  private get kept(): number {
    return Math.min(this.seen, SAMPLE_SIZE)
  }

  /** The last so many that are not null, rising; none of texts. */
  latest(count: number): Float64Array {
    if (this.measure === 'text') return new Float64Array(0)
    const wanted = Math.min(count, this.kept)
    const found = new Float64Array(wanted)
    let given = 0
    for (let i = 1; i <= wanted; i++) {
      const value = this.numbers[(this.seen - i) % SAMPLE_SIZE] ?? Number.NaN
      if (!Number.isNaN(value)) found[given++] = value
    }
    return found.subarray(0, given).sort()
  }

  /** Texts that are not null. */
  words(): readonly string[] {
    return this.texts.filter((text) => text !== null)
  }

  figures(): SampleFigures {
    const { measure, seen, kept } = this
    const words = this.words()
    const sorted = this.latest(SAMPLE_SIZE)
    const given = measure === 'text' ? words.length : sorted.length
    const isTruth = measure === 'truth'
    return {
      measure,
      seen,
      kept,
      nullShare: kept === 0 ? null : (kept - given) / kept,
      bins: isTruth ? null : binsOf(sorted),
      quantiles: isTruth ? null : quantilesOf(sorted),
      top: measure === 'text' && given > 0 ? topOf(words, MOST_TOP) : null,
      trueShare: isTruth && given > 0 ? sorted.reduce((sum, value) => sum + value, 0) / given : null,
    }
  }
}

function textOf(json: string): string {
  const text = json.startsWith('"') && !json.includes('\\') ? json.slice(1, -1) : parsed(json)
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text
}

function parsed(json: string): string {
  if (!json.startsWith('"') || json.length > LONGEST_JSON) return json
  const value: unknown = JSON.parse(json)
  return typeof value === 'string' ? value : json
}

function numberOf(measure: Measure, json: string): number {
  if (measure === 'truth') return json === 'true' ? 1 : 0
  if (measure === 'time') return Date.parse(json.slice(1, -1))
  if (measure === 'number') return Number(json)
  if (json.length > LONGEST_JSON) return Number.NaN
  const value: unknown = JSON.parse(json)
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 1
}
