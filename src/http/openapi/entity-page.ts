/** What /openapi.json says about everything that is told of one entity key. */
import { described, noNumber, noTime, number, orNull, states, text, time, whole } from './insight-parts.ts'
import { type Json, list, nullable, object } from './schema.ts'

/** Of each feature, where `history` is asked for. */
const recorded: Json = {
  interval_ms: noNumber,
  history: described(list(object({ at: time, value: {} }, ['value'])), 'Oldest first; without a value: nothing was known from then on.'),
  history_is_cut: { type: 'boolean' },
  before: orNull(object({ value: {}, at: time })),
  changed_at: noTime,
  is_recorded: described({ type: 'boolean' }, 'False: values computed of this key are not recorded, and there may have been others.'),
}

export function entityPage(key: Json, valueFields: Json): Json {
  const optional = ['oldest_input_timestamp', 'error', 'needs_inputs', 'pending', 'method', ...Object.keys(recorded)]
  const method = { type: ['string', 'null'], enum: ['recompute', 'replay', 'history', null], description: 'With `as_of`: how it was told.' }
  const special = {
    error: { type: 'object' },
    needs_inputs: described(list(text), 'It was not computed: these inputs were not given.'),
    pending: described({ type: 'boolean' }, 'It is not computed yet: ask again in a second.'),
  }
  return object(
    {
      entity: key,
      as_of: time,
      pending: described(whole, 'With `as_of` or `history`: how many features are not computed yet.'),
      features: list(object({ feature: text, ...valueFields, ...special, method, ...recorded }, optional)),
      changes: described(object({ from: time, step_ms: number, counts: list(whole) }), 'How many values changed in each step.'),
      sources: list(object({ source: text, rows: nullable('integer'), rows_limit: whole, newest_row_at: noTime })),
      last_reads: {
        type: ['array', 'null'],
        items: object({ at: time, key: nullable('string'), asked_for: list(text), rows: whole, ms: number, states }),
        description: 'Sampled, newest first; null to who lacks the scope `admin`.',
      },
    },
    ['as_of', 'pending', 'changes', 'sources', 'last_reads'],
  )
}
