/** What several answers about the server itself share. src/http/wire/basics.ts says the same in types. */
import { type Json, list, nullable, object, ref } from './schema.ts'

const STATES = ['fresh', 'stale', 'missing', 'default', 'error']
export const time: Json = { type: 'string', format: 'date-time' }
export const noTime: Json = { ...nullable('string'), format: 'date-time' }
export const text: Json = { type: 'string' }
export const whole: Json = { type: 'integer' }
export const number: Json = { type: 'number' }
export const noNumber = nullable('number')
export const noText = nullable('string')
/** One figure a step, oldest first. */
export const steps = list(noNumber)

/** An object, or null. */
export const orNull = (schema: Json, description?: string): Json => ({
  ...schema,
  type: ['object', 'null'],
  ...(description === undefined ? {} : { description }),
})

export const described = (schema: Json, description: string): Json => ({ ...schema, description })

const place = object({ file: described(text, 'Relative to the project.'), line: whole })
export const noPlace = orNull(place)
export const pairOfQuantiles = object({ p50: noNumber, p99: noNumber })
export const states = object(Object.fromEntries(STATES.map((state) => [state, number])))

const reason = object({
  code: { type: 'string', enum: ['failing', 'late', 'pushes_stopped', 'nulls', 'slow', 'drifted'] },
  message: text,
  now: noNumber,
  usual: noNumber,
  unit: { type: 'string', enum: ['ms', 'share', 'runs', 'psi'] },
  since: noTime,
  place: noPlace,
  error_code: noText,
})

const readFigures = object({
  window_ms: number,
  since: time,
  reads_per_second: number,
  reads: number,
  states,
  null_share: noNumber,
  age_ms: pairOfQuantiles,
  latency_ms: pairOfQuantiles,
  columns: list(ref('Distribution')),
})

export const insightParts: Json = {
  State: { type: 'string', enum: STATES },
  Coverage: {
    ...object({ processes: whole, of: whole }),
    description: 'Of how many of the serving processes the figures are.',
  },
  Reason: reason,
  Distribution: object({
    column: noText,
    name: text,
    type: noText,
    measure: {
      type: 'string',
      enum: ['number', 'time', 'elements', 'text', 'truth'],
      description: 'What numbers in bins and quantiles are; `time`: milliseconds since 1970.',
    },
    sample: described(object({ seen: whole, kept: whole }), 'Values there were, and those that the figures are made of.'),
    null_share: noNumber,
    bins: orNull(object({ edges: list(number), counts: list(whole) }), 'One more edge than counts.'),
    quantiles: orNull(object({ min: number, p10: number, p50: number, p90: number, p99: number, max: number })),
    top: { type: ['array', 'null'], items: object({ value: text, share: number }), description: 'The most frequent texts, first.' },
    true_share: noNumber,
  }),
  Refreshed: object({
    at: noTime,
    age_ms: noNumber,
    interval_ms: described(noNumber, 'Of its refresh, or as learnt from earlier pushes.'),
    is_learnt: { type: 'boolean' },
    running: orNull(object({ id: text, done: whole, keys: whole }), 'A run that is under way.'),
  }),
}

/** Of one feature, beside its definition. */
export const figures: Json = {
  state: ref('State'),
  reason: orNull(reason, 'The worst of what is wrong.'),
  further_reasons: list(ref('Reason')),
  version_number: nullable('integer'),
  version_since: noTime,
  refreshed: ref('Refreshed'),
  reads: orNull(readFigures, 'Null where statistics are off, and before the first read.'),
}
