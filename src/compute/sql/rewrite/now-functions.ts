import type { FunctionRef } from './sql-tree.ts'

/** What stands for the present, as SQL of the as-of time (a TIMESTAMPTZ; sessions run in UTC). */
const PRESENT: Readonly<Record<string, (asOf: string) => string>> = {
  now: (asOf) => asOf,
  current_timestamp: (asOf) => asOf,
  get_current_timestamp: (asOf) => asOf,
  transaction_timestamp: (asOf) => asOf,
  statement_timestamp: (asOf) => asOf,
  clock_timestamp: (asOf) => asOf,
  current_date: (asOf) => `CAST(${asOf} AS DATE)`,
  today: (asOf) => `CAST(${asOf} AS DATE)`,
  current_time: (asOf) => `CAST(${asOf} AS TIMETZ)`,
  get_current_time: (asOf) => `CAST(${asOf} AS TIMETZ)`,
  localtimestamp: (asOf) => `CAST(${asOf} AS TIMESTAMP)`,
  current_localtimestamp: (asOf) => `CAST(${asOf} AS TIMESTAMP)`,
  localtime: (asOf) => `CAST(CAST(${asOf} AS TIMESTAMP) AS TIME)`,
  current_localtime: (asOf) => `CAST(CAST(${asOf} AS TIMESTAMP) AS TIME)`,
}

/** Words that mean the present without parentheses. */
const BARE = new Set(['current_timestamp', 'current_date', 'current_time', 'localtimestamp', 'localtime'])

export function presentFunction(name: string): ((asOf: string) => string) | undefined {
  return Object.hasOwn(PRESENT, name) ? PRESENT[name] : undefined
}

export function isBarePresent(name: string): boolean {
  return BARE.has(name.toLowerCase())
}

/** `age(x)` counts from today; `age(y, x)` does not. */
export function isAgeFromToday(ref: FunctionRef): boolean {
  return ref.name === 'age' && ref.argumentCount === 1
}
