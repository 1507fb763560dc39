import type { Micros } from '../clock.ts'
import { baseType, elementOf, readDeclaredType, VALUE_TYPES } from './declared-type.ts'
import { type Definition, define, draftOf, type FeatureDraft, type FeatureFunction } from './draft.ts'
import { cronOfName, DURATION_EXAMPLES, formatDuration, looksLikeCron, readDuration } from './duration.ts'
import { readDefaults } from './feature-default.ts'
import type { DeclaredType, FeatureColumn, HistoryMode, Refresh, SourceLocation, SqlText } from './model.ts'
import { COLUMN_NAME, FEATURE_NAME, FEATURE_NAME_RULE, lawfulName, RESERVED } from './naming.ts'
import { type OptionReader, readOptions, suggestValue } from './options.ts'
import { show } from './show.ts'
import { callPlace } from './source-location.ts'

const FOR_ALL = ['entity', 'name', 'type', 'columns', 'default', 'max_staleness', 'look_back', 'history', 'keep', 'version', 'same_as']
const FOR_COMPUTED = ['refresh', 'sql', 'timeout', 'keep_warm', 'uses']
const FOR_FUNCTIONS = ['inputs', 'replay', 'batch', 'nan']
const FOR_PEOPLE = ['description', 'owner', 'tags']
const OPTIONS = [...FOR_ALL, ...FOR_COMPUTED, ...FOR_FUNCTIONS, ...FOR_PEOPLE]
const EXAMPLE = 'feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT …" })'
const REFRESH_HINT = 'Write "5m", "1h", { minutes: 5 }, a cron string, or 0 for realtime.'
const SECOND = 1_000_000
const SHORTEST_KEEP: Micros = 86_400 * SECOND
const HISTORY_MODES: readonly HistoryMode[] = ['auto', 'changes', 'all', 'off']
const DEFAULT_BATCH = 1000
const MAX_BATCH = 10_000
const ELEMENT_HINT = 'Write "list[string]" or "dict[string, float]"; keys of dicts are strings.'

type Computed = 'sql' | 'function' | 'pushed'

/** See fabra.d.ts. */
export function feature(given: unknown, compute?: unknown): Definition<'feature'> {
  return define(readFeature(given, compute, callPlace()))
}

export function readFeature(given: unknown, compute: unknown, location: SourceLocation | null): FeatureDraft {
  const options = readOptions('feature', given, OPTIONS, EXAMPLE)
  const fn = readFunction(compute, options)
  const sql = readSql(options)
  const how: Computed = fn !== null || compute !== undefined ? 'function' : options.has('sql') ? 'sql' : 'pushed'
  if (options.has('sql') && compute !== undefined) {
    options.complain('it has both sql and a function.', 'Keep one of them: a feature is computed in one way.')
  }
  const refresh = readRefresh(how, options)
  checkFit(how, refresh, options)
  const columns = readColumns(how, options)
  return {
    kind: 'feature',
    name: readName(options),
    entity: readEntity(options),
    sql,
    compute: fn,
    columns,
    refresh,
    maxStaleness: options.duration('max_staleness'),
    lookBack: options.duration('look_back'),
    defaults: readDefaults(columns, options),
    timeout: options.duration('timeout', 1000),
    keepWarm: options.duration('keep_warm'),
    keep: readKeep(options),
    history: options.oneOf('history', HISTORY_MODES),
    inputs: readInputs(options),
    uses: readUses(options),
    replay: options.flag('replay') ?? false,
    batch: readBatch(options),
    nan: options.oneOf('nan', ['error', 'null']) ?? 'error',
    version: options.text('version'),
    sameAs: readSameAs(options),
    description: options.text('description'),
    owner: options.text('owner'),
    tags: options.texts('tags'),
    location,
    complaints: options.complaints,
  }
}

/** Shorter, history would be gone before a training set could look back at it, or a restart bring a value back. */
function readKeep(options: OptionReader): Micros | null {
  const keep = options.duration('keep')
  if (keep === null) return null
  if (keep < SHORTEST_KEEP) {
    options.complain(`keep ${show(options.raw('keep'))} is too short: history is kept for a day at least.`, 'Write keep: "400d".')
    return null
  }
  // What is wrong with these is told where they are read.
  for (const name of ['look_back', 'max_staleness']) {
    const other = readDuration(options.raw(name))
    if (!other.ok || other.micros <= keep) continue
    options.complain(
      `keep ${show(options.raw('keep'))} is shorter than its ${name} ${show(options.raw(name))}: values would be gone while they still count.`,
      `Write keep: "${formatDuration(other.micros)}" or longer, or a shorter ${name}.`,
    )
    return null
  }
  return keep
}

function readName(options: OptionReader): string | null {
  const name = options.text('name')
  if (name === null) return null
  if (!FEATURE_NAME.test(name)) {
    options.complain(`${show(name)} cannot be a feature's name.`, `${FEATURE_NAME_RULE}: name: "${lawfulName(name)}".`)
  }
  return name
}

function readEntity(options: OptionReader): unknown {
  const given = options.raw('entity')
  const draft = draftOf(given)
  if (draft?.kind === 'entity') return given
  const hint = 'Write entity: User, with const User = entity("User", { key: "user_id" }).'
  if (given === undefined) options.complain('entity is missing.', hint)
  else if (typeof given === 'string')
    options.complain(`entity must be an entity, got the text ${show(given)}.`, `Give the object: entity: ${given || 'User'}.`)
  else
    options.complain(
      `entity must be an entity, got ${draft ? `the ${draft.kind.replace('_', ' ')} ${show(draft.name)}` : show(given)}.`,
      hint,
    )
  return null
}

function readFunction(compute: unknown, options: OptionReader): FeatureFunction | null {
  if (compute === undefined) return null
  if (typeof compute === 'function') return compute as FeatureFunction
  options.complain(`feature() takes a function after the options, got ${show(compute)}.`, 'Write feature({ … }, async (key, { db }) => …).')
  return null
}

function readSql(options: OptionReader): SqlText | null {
  const given = options.raw('sql')
  if (given === undefined) return null
  if (typeof given === 'string') {
    if (given.trim() === '') options.complain('sql is empty.', 'Write a SELECT that gives one row for one key.')
    return given
  }
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
    const { duckdb, postgres, ...more } = given as Record<string, unknown>
    if (typeof duckdb === 'string' && typeof postgres === 'string' && Object.keys(more).length === 0) return { duckdb, postgres }
  }
  options.complain(
    `sql must be a text, got ${show(given)}.`,
    'Write sql: "SELECT …", or sql: { duckdb: "…", postgres: "…" } where the two differ.',
  )
  return null
}

function readRefresh(how: Computed, options: OptionReader): Refresh | null {
  const given = options.raw('refresh')
  if (how === 'pushed') {
    if (given !== undefined) {
      options.complain(
        'it has refresh, but neither sql nor a function.',
        'Add what computes it, or leave refresh out: then values are pushed.',
      )
    }
    return null
  }
  if (given === undefined) {
    options.complain('refresh is missing.', REFRESH_HINT)
    return null
  }
  if (given === 0 || given === '0') return { kind: 'realtime' }
  const named = typeof given === 'string' ? cronOfName(given) : undefined
  if (named && 'pattern' in named) return { kind: 'cron', pattern: named.pattern }
  if (named) {
    options.complain(`refresh ${named.wrong}.`, named.hint)
    return null
  }
  if (typeof given === 'string' && looksLikeCron(given)) return { kind: 'cron', pattern: given.trim() }
  const duration = readDuration(given)
  if (!duration.ok) {
    const unit = typeof given === 'number' && given > 0 ? `Write "${given}s" for seconds, or ${DURATION_EXAMPLES}.` : REFRESH_HINT
    options.complain(`refresh ${duration.wrong}.`, unit)
    return null
  }
  if (duration.micros === 0) return { kind: 'realtime' }
  if (duration.micros < SECOND) {
    options.complain(
      `refresh ${show(given)} is less than a second (${formatDuration(duration.micros)}).`,
      'Write at least "1s", or 0 for realtime.',
    )
    return null
  }
  return { kind: 'interval', every: duration.micros }
}

const SQL_HINTS: Readonly<Record<string, string>> = {
  replay: 'Leave it out: training runs the sql itself at each time.',
  batch: 'Leave it out: sql is run for many keys at once anyway.',
  nan: "Leave it out: write NULLIF(…, 'NaN') in the sql.",
}

/** Options that mean nothing for this way of computing are refused, not ignored. */
function checkFit(how: Computed, refresh: Refresh | null, options: OptionReader): void {
  const unfit = how === 'pushed' ? ['timeout', 'keep_warm', 'uses', ...FOR_FUNCTIONS] : how === 'sql' ? FOR_FUNCTIONS : []
  for (const name of unfit) {
    if (!options.has(name)) continue
    if (how === 'pushed')
      options.complain(`${name} means nothing without sql or a function.`, 'Leave it out: values of this feature are pushed.')
    else if (name === 'inputs')
      options.complain(
        'inputs are for functions; sql cannot use them.',
        'Compute it with a function: feature({ … }, async (key, { db, inputs }) => …).',
      )
    else options.complain(`${name} is for functions.`, SQL_HINTS[name] ?? 'Leave it out.')
  }
  if (how === 'function' && options.has('inputs') && refresh !== null && refresh.kind !== 'realtime') {
    options.complain('it has inputs, so it can only be computed in a request.', 'Write refresh: 0.')
  }
}

function readColumns(how: Computed, options: OptionReader): FeatureDraft['columns'] {
  if (!options.has('columns')) {
    const type = options.has('type') ? readType(`type ${show(options.raw('type'))} is not known.`, options.raw('type'), options) : null
    if (how === 'pushed' && !options.has('type') && !options.has('refresh')) {
      options.complain(
        'it has neither sql, nor a function, nor a type.',
        `Add sql or a function, or for pushed values a type: one of ${VALUE_TYPES.join(', ')}.`,
      )
    }
    return [columnOf(null, type ?? (how === 'sql' ? null : 'json'))]
  }
  if (options.has('type')) options.complain('it has both type and columns.', 'Leave type out: each column has its own.')
  const entries = options.record('columns', 'columns: { total_30d: "float", avg_30d: "float" }') ?? []
  const columns = entries.map(([name, type]) => {
    checkPartName('column', name, options)
    return columnOf(name, readType(`column "${name}" has the type ${show(type)}.`, type, options))
  })
  return columns.length > 0 ? columns : [{ name: null, type: 'json' }]
}

function columnOf(name: string | null, type: DeclaredType | null): FeatureColumn {
  if (type === null || elementOf(type) === null) return { name, type: type as FeatureColumn['type'] }
  return { name, type: baseType(type), element: type }
}

function readInputs(options: OptionReader): Record<string, DeclaredType> {
  const entries = options.record('inputs', 'inputs: { amount: "float" }') ?? []
  return Object.fromEntries(
    entries.map(([name, type]) => {
      checkPartName('input', name, options)
      return [name, readType(`input "${name}" has the type ${show(type)}.`, type, options)]
    }),
  )
}

/** Inputs may be called as the label file's columns are, in upper case too. */
function checkPartName(what: 'column' | 'input', name: string, options: OptionReader): void {
  const article = what === 'input' ? 'an' : 'a'
  if (!(what === 'input' ? COLUMN_NAME : FEATURE_NAME).test(name)) {
    options.complain(`${show(name)} cannot be ${article} ${what}'s name.`, `${FEATURE_NAME_RULE}: "${lawfulName(name)}".`)
  } else if (RESERVED.includes(name)) {
    const hint = `Reserved are ${RESERVED.join(', ')}.`
    options.complain(`"${name}" cannot be ${article} ${what}'s name: it has its own meaning in requests.`, hint)
  }
}

function readType(wrong: string, given: unknown, options: OptionReader): DeclaredType {
  const type = readDeclaredType(given)
  const holds = typeof given === 'string' && /^(list|dict)\b/.test(given)
  if (type === null) options.complain(wrong, holds ? ELEMENT_HINT : suggestValue(given, VALUE_TYPES))
  return type ?? 'json'
}

function readUses(options: OptionReader): readonly unknown[] {
  const given = options.raw('uses')
  if (given === undefined) return []
  if (Array.isArray(given)) return [...given]
  options.complain(`uses must be a list of features, got ${show(given)}.`, 'Write uses: [transaction_count_1h, "spend.avg_30d"].')
  return []
}

/** How many keys the function takes at a time; null: one key, not a list of them. */
function readBatch(options: OptionReader): number | null {
  const given = options.raw('batch')
  if (given === undefined || given === false) return null
  if (given === true) return DEFAULT_BATCH
  if (typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= MAX_BATCH) return given
  options.complain(
    `batch must be a whole number of keys from 1 to ${MAX_BATCH}, got ${show(given)}.`,
    `Write batch: ${DEFAULT_BATCH}, or batch: true for the same.`,
  )
  return null
}

function readSameAs(options: OptionReader): string | null {
  const text = options.text('same_as')
  if (text !== null && !/^[0-9a-f]{16}$/.test(text)) {
    options.complain(
      `same_as ${show(text)} is not a fingerprint.`,
      'Write the sixteen hex digits that "fabra list --json" shows for the old version.',
    )
    return null
  }
  return text
}
