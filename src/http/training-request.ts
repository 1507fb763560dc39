import { parseTime } from '../definition/time.ts'
import { FabraError, suggest } from '../errors.ts'
import { METHODS, OUTPUT_FORMATS, type TrainingOptions } from '../training/options.ts'

export interface TrainingRequest {
  readonly options: TrainingOptions
  readonly rows: readonly unknown[] | null
  readonly labelsSql: string | null
  /** Nothing is made; it is told what would be done. */
  readonly explain: boolean
}

const FLAGS = ['as_served', 'latest_knowledge', 'deterministic', 'with_status', 'with_event_timestamp', 'fresh', 'explain'] as const
const FIELDS = ['features', 'feature_set', 'labels_sql', 'timestamp', 'timezone', 'method', 'snapshot', 'format', 'limit', ...FLAGS]

/**
 * @param given Fields of a JSON body, or parameters of the address, whose values are texts.
 * @throws FabraError invalid_input (of the address) or invalid_body, naming the field.
 */
export function readTrainingRequest(given: Readonly<Record<string, unknown>>, fromAddress: boolean): TrainingRequest {
  const fail = (message: string, hint: string) => new FabraError(fromAddress ? 'invalid_input' : 'invalid_body', message, { hint })
  const fields = fromAddress ? FIELDS : [...FIELDS, 'rows']
  for (const name of Object.keys(given)) {
    if (!fields.includes(name)) throw fail(`Unknown ${fromAddress ? 'query parameter' : 'field'} "${name}".`, suggest(name, fields))
  }
  const text = (name: string): string | null => {
    const value = given[name]
    if (value === undefined || value === null || value === '') return null
    if (typeof value === 'string') return value
    throw fail(`"${name}" is not a text.`, `Write "${name}": "…".`)
  }
  const choice = <T extends string>(name: string, allowed: readonly T[]): T | null => {
    const value = text(name)
    const found = allowed.find((one) => one === value)
    if (value !== null && found === undefined) throw fail(`"${name}" is ${JSON.stringify(value)}.`, suggest(value, allowed))
    return found ?? null
  }
  const flag = (name: string): boolean => {
    const value = given[name]
    if (value === undefined || value === false || value === 'false') return false
    if (value === true || value === 'true' || value === '') return true
    throw fail(`"${name}" is neither true nor false.`, `Write ${fromAddress ? `${name}=true` : `"${name}": true`}.`)
  }
  const rows = given['rows']
  if (rows !== undefined && !Array.isArray(rows))
    throw fail('"rows" is not a list.', 'Write "rows": [{"user_id": "u1", "event_timestamp": "…"}].')
  const labelsSql = text('labels_sql')
  const explain = flag('explain')
  if (!fromAddress && (rows === undefined) === (labelsSql === null) && !(explain && rows === undefined))
    throw fail('Give either "rows" or "labels_sql".', 'Or send the labels as a Parquet, CSV or JSON-lines file.')
  const snapshot = text('snapshot')
  const options: TrainingOptions = {
    features: featureNames(given, fail),
    timestamp: text('timestamp') ?? 'event_timestamp',
    timezone: text('timezone'),
    method: choice('method', METHODS),
    snapshot: snapshot === null ? null : parseTime(snapshot),
    format: choice('format', OUTPUT_FORMATS) ?? 'parquet',
    asServed: flag('as_served'),
    latestKnowledge: flag('latest_knowledge'),
    deterministic: flag('deterministic'),
    withStatus: flag('with_status'),
    withEventTimestamp: flag('with_event_timestamp'),
    fresh: flag('fresh'),
    sample: sampleOf(given['limit'], fail),
  }
  if (options.asServed && options.method !== null && options.method !== 'history')
    throw fail('as_served goes by history, not by another method.', 'Leave one of them out.')
  if (options.asServed && options.latestKnowledge)
    throw fail('as_served and latest_knowledge contradict each other.', 'Leave one of them out.')
  return { options, rows: rows ?? null, labelsSql, explain }
}

const MOST_SAMPLED = 1_000

function sampleOf(value: unknown, fail: (message: string, hint: string) => FabraError): number | null {
  if (value === undefined || value === null) return null
  const limit = Number(value)
  if (Number.isInteger(limit) && limit >= 1 && limit <= MOST_SAMPLED) return limit
  throw fail('limit is out of range.', `Write a whole number of rows to look at, from 1 to ${MOST_SAMPLED}.`)
}

function featureNames(given: Readonly<Record<string, unknown>>, fail: (message: string, hint: string) => FabraError): readonly string[] {
  const value = given['features'] ?? given['feature_set']
  const hint = 'Write features=spend,fraud_v1 in the address, or "features": ["spend"] in a JSON body.'
  if (given['features'] !== undefined && given['feature_set'] !== undefined)
    throw fail('Both features and feature_set are given.', 'Give one of them.')
  const names = typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) throw fail('No features are given.', hint)
  const given_ = names.filter((name) => name !== '')
  if (given_.length === 0) throw fail('No features are given.', hint)
  return given_
}
