/** Random worlds for the oracle: two sources with ties, neighbours of a microsecond, nulls and late rows, three features, and questions around them. */
import * as fc from 'fast-check'
import { instants, type OracleRow, type OracleSource } from './oracle.ts'
import { type Draw, type Shape, type ShapeName, shapes } from './oracle-shapes.ts'

export type KeyKind = 'string' | 'int' | 'uuid' | 'pair'

export interface Case {
  readonly keyKind: KeyKind
  readonly events: OracleSource
  readonly facts: OracleSource
  readonly shapes: readonly Shape[]
  readonly questions: readonly { readonly key: readonly string[]; readonly t: number }[]
}

const MOST_EVENTS = 500

/** Few keys, so that rows meet; each has a neighbour that is easily taken for it. */
export const KEYS: Readonly<Record<KeyKind, readonly (readonly string[])[]>> = {
  string: [['a'], ["o'neil"], ['A'], ['a '], ['é'], ['e\u0301'], ['🙂"\\'], ['$user_id'], ['%_\n']],
  int: [['1'], ['-1'], ['9007199254740993'], ['9007199254740992'], ['9223372036854775807'], ['-9223372036854775808']],
  uuid: [['6f1e1a5e-0000-4000-8000-000000000001'], ['ffffffff-ffff-ffff-ffff-ffffffffffff'], ['00000000-0000-0000-0000-000000000000']],
  pair: [
    ['a:b', '1'],
    ['a', '1'],
    ['a', '-1'],
    ['a%3Ab', '1'],
    ["';--", '9007199254740993'],
  ],
}

const SECOND = 1_000_000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR
/** Ordinary time, both ends of summer time in several zones, the epoch and before it. */
const BASES = [
  '2026-01-10T12:00:00Z',
  '2026-03-29T01:00:00Z',
  '2026-10-25T01:00:00Z',
  '2026-03-08T07:00:00Z',
  '2026-11-01T06:00:00Z',
  '2026-04-04T15:00:00Z',
  '1970-01-01T00:00:00Z',
  '1965-06-01T00:00:00Z',
].map((text) => Date.parse(text) * 1000)
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Etc/UTC'] as const

const near = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, 0, 1, -1, 2, SECOND, -SECOND, HOUR, -HOUR, HOUR + 1, -HOUR - 1, 30 * 60 * SECOND, -DAY, DAY) },
  { weight: 2, arbitrary: fc.integer({ min: -3 * HOUR, max: 3 * HOUR }) },
  { weight: 1, arbitrary: fc.integer({ min: -3 * DAY, max: 3 * DAY }) },
)
const often = <T>(arbitrary: fc.Arbitrary<T>, weight = 6) => fc.oneof({ weight, arbitrary }, { weight: 1, arbitrary: fc.constant(null) })
const widths = fc.oneof(fc.constantFrom(1, 2, 1000, SECOND, HOUR, HOUR + 1, DAY, 7 * DAY), fc.integer({ min: 1, max: 2 * DAY }))
const delays = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(1, SECOND, 600 * SECOND, HOUR, DAY) },
)

interface LooseRow {
  readonly key: number
  readonly at: number | null
  readonly available: number | null
  readonly until: number | null
  readonly id: number | null
  readonly category: string | null
  readonly amount: number | null
}

const looseRow: fc.Arbitrary<LooseRow> = fc.record({
  key: fc.integer({ min: -1, max: 2 }),
  at: fc.oneof(
    { weight: 12, arbitrary: often(near) },
    { weight: 1, arbitrary: fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY) },
  ),
  available: often(fc.constantFrom(-HOUR, 0, 0, 1, SECOND, HOUR, 2 * HOUR)),
  until: often(fc.constantFrom(1, 2, HOUR, DAY, 0, -HOUR, Number.POSITIVE_INFINITY), 2),
  id: often(fc.integer({ min: 1, max: 4 })),
  category: often(fc.constantFrom('food', 'toys', 'fuel')),
  amount: often(
    fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -50, max: 200 }) }, { weight: 1, arbitrary: fc.constantFrom(2 ** 40, -(2 ** 40)) }),
  ),
})

const settings = fc.record({
  timed: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  timestampType: fc.constantFrom('instant', 'instant', 'naive', 'naive', 'date'),
  otherType: fc.constantFrom('instant', 'naive'),
  delay: delays,
  extra: fc.constantFrom('none', 'none', 'none', 'until', 'available', 'until', 'id', 'available and until', 'available and id'),
  view: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  zone: fc.constantFrom(...ZONES),
  scale: fc.constantFrom(1, 1000, 8),
} as const)

const draw: fc.Arbitrary<Draw> = fc.record({
  lower: often(fc.record({ width: widths, inclusive: fc.boolean() }), 4),
  upper: fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.record({ width: widths, inclusive: fc.boolean() }) },
  ),
  spelling: fc.nat({ max: 7 }),
  filter: fc.constantFrom('none', 'none', 'food', 'null', 'positive'),
} as const)

const names = Object.keys(shapes) as ShapeName[]

/** Asked about: a moment of one of the events, with a step of a window or none, at it, just before or just after. */
const question = fc.record({
  /** Null: that of the event. */
  key: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 2, arbitrary: fc.nat({ max: 3 }) }),
  event: fc.nat({ max: MOST_EVENTS }),
  moment: fc.constantFrom('at', 'visible', 'visible', 'available', 'available', 'until', 'until', 'until', 'base'),
  step: fc.nat({ max: 5 }),
  nudge: fc.constantFrom(0, 0, 1, -1),
} as const)

export const cases = casesOf({
  settings,
  rows: fc.array(looseRow, { maxLength: 12 }),
  shapes: shapesOf(fc.constantFrom(...names), draw),
  questions: fc.array(question, { minLength: 2, maxLength: 6 }),
})

/** Most events and questions are of one key, many of them at one time. */
const manyRows = fc.array(
  fc.tuple(looseRow, fc.integer({ min: 0, max: 9 })).map(([row, dice]) => (dice < 9 ? { ...row, key: 0 } : row)),
  { minLength: 100, maxLength: MOST_EVENTS, size: 'max' },
)
const manyQuestions = fc.array(question, { minLength: 10, maxLength: 60, size: 'max' })
const aggregates = ['count', 'countOfValues', 'sum', 'average', 'leastAndGreatest', 'bareNames', 'coalesced', 'filtered'] as const

export const largeCases = casesOf({
  settings,
  rows: manyRows,
  shapes: shapesOf(fc.constantFrom(...aggregates, 'last'), draw),
  questions: manyQuestions,
})

/** The same where every feature is a plain aggregate, so that keys are taken in order of time or joined. */
export const plainCases = casesOf({
  settings: settings.map((drawn) => {
    const timestampType = drawn.timestampType === 'naive' && drawn.zone === 'UTC' ? 'naive' : 'instant'
    return { ...drawn, timed: true, timestampType, extra: 'none' } as const
  }),
  rows: manyRows,
  shapes: shapesOf(
    fc.constantFrom(...aggregates),
    draw.map((drawn) => ({ ...drawn, upper: null, spelling: drawn.spelling === 4 || drawn.spelling === 5 ? 6 : drawn.spelling })),
  ),
  questions: manyQuestions,
})

interface Drawn {
  readonly settings: fc.Arbitrary<Settings>
  readonly rows: fc.Arbitrary<LooseRow[]>
  readonly shapes: fc.Arbitrary<Shape[]>
  readonly questions: fc.Arbitrary<DrawnRow[]>
}
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never
type DrawnRow = typeof question extends fc.Arbitrary<infer T> ? T : never

function shapesOf(shape: fc.Arbitrary<ShapeName>, drawn: fc.Arbitrary<Draw>): fc.Arbitrary<Shape[]> {
  const one = fc.tuple(shape, drawn).map(([name, rest]): Shape => ({ shape: name, ...rest }))
  return fc.array(one, { minLength: 1, maxLength: 2 })
}

function casesOf(of: Drawn): fc.Arbitrary<Case> {
  return fc
    .record({
      keyKind: fc.constantFrom('string', 'string', 'int', 'uuid', 'pair'),
      firstKey: fc.nat({ max: 8 }),
      base: fc.constantFrom(...BASES),
      events: fc.tuple(of.settings, of.rows),
      facts: fc.tuple(settings, fc.array(looseRow, { maxLength: 6 })),
      shapes: of.shapes,
      questions: of.questions,
    } as const)
    .map(({ keyKind, firstKey, base, events, facts, shapes: drawn, questions }): Case => {
      const pool = KEYS[keyKind]
      const keyOf = (i: number) => pool[(firstKey + i) % pool.length] ?? []
      const source = sourceOf(events[0], events[1], base, keyOf)
      const moments = source.rows.map((row) => instants(source, row))
      return {
        keyKind,
        events: source,
        facts: sourceOf(facts[0], facts[1], base, keyOf),
        shapes: drawn,
        questions: questions.map(({ key, event, moment, step, nudge }) => {
          const at = finite(moments[event % Math.max(1, moments.length)])
          const visible = at?.at === null || at?.at === undefined ? base : at.at + source.delay
          const from = { at: at?.at ?? base, visible, available: at?.available ?? base, until: at?.until ?? base, base }[moment]
          const { lower, upper } = drawn[step % drawn.length] ?? { lower: null, upper: null }
          const steps = [0, lower?.width ?? 0, upper?.width ?? 0, 0, 0, 0]
          const own = source.rows[event % Math.max(1, source.rows.length)]?.key.filter((part) => part !== null) ?? []
          const asked = key === null && own.length > 0 ? own : keyOf(key ?? 0)
          return { key: asked, t: from + (steps[step] ?? 0) + nudge }
        }),
      }
    })
}

/** Nobody asks about the infinite. */
function finite(times: ReturnType<typeof instants> | undefined): ReturnType<typeof instants> | undefined {
  const known = (time: number | null) => (time !== null && Number.isFinite(time) ? time : null)
  return times && { at: known(times.at), available: known(times.available), until: known(times.until) }
}

function sourceOf(drawn: Settings, rows: readonly LooseRow[], base: number, keyOf: (i: number) => readonly string[]): OracleSource {
  const { timed, timestampType, extra } = drawn
  const day = (time: number) => (timestampType === 'date' && Number.isFinite(time) ? Math.floor(time / DAY) * DAY : time)
  const has = (setting: string) => timed && extra.includes(setting)
  const written = rows.map((row, i): OracleRow => {
    const at = row.at === null ? null : day(base + row.at)
    const after = (offset: number | null) => (offset === null ? null : (at !== null && Number.isFinite(at) ? at : base) + offset)
    const key = keyOf(Math.max(0, row.key))
    return {
      n: i + 1,
      key: row.key === -1 ? key.map(() => null) : key,
      at,
      available: after(row.available),
      until: after(row.until),
      id: row.id,
      category: row.category,
      amount: row.amount === null ? null : BigInt(row.amount),
    }
  })
  return {
    ...drawn,
    delay: timed ? drawn.delay : 0,
    zone: timed ? drawn.zone : 'UTC',
    available: has('available'),
    until: has('until'),
    id: has('id'),
    rows: written,
  }
}
