/**
 * What the definitions say, as plain data. The user's file is only ever run in a worker thread (or a Python process); what reaches
 * the rest of the house is this: frozen, structured-cloneable, without functions. Durations are microseconds.
 */
import type { Micros } from '../clock.ts'

export type ValueType = 'int' | 'float' | 'string' | 'bool' | 'timestamp' | 'list' | 'dict' | 'json'
/** A value's type, and of a list or dict what it holds, where that is declared. Read by `declared-type.ts`, which writes each in one way. */
export type DeclaredType = ValueType | `list[${string}]` | `dict[string, ${string}]`
export type KeyType = 'string' | 'int' | 'uuid'

/** Where a definition stands in the user's file. Lines and columns from 1. */
export interface SourceLocation {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Something wrong with the definitions. All of them are reported at once. */
export interface Problem {
  readonly location: SourceLocation | null
  /** `feature "spend"`, `source "transactions"`, … */
  readonly subject: string
  readonly message: string
  readonly hint: string
}

export interface Described {
  readonly description: string | null
  readonly owner: string | null
  readonly tags: readonly string[]
  readonly location: SourceLocation | null
}

export interface KeyColumn {
  readonly name: string
  readonly type: KeyType
}

export interface Entity extends Described {
  readonly name: string
  readonly key: readonly KeyColumn[]
  /** A query that lists all keys of the entity, for refreshes. */
  readonly keys: string | null
}

export interface Source extends Described {
  /** The table's name as features write it; `schema.table` when qualified. */
  readonly name: string
  /** Column that says when a row came to be. Null: the source has no time and is refused for training unless `static`. */
  readonly timestamp: string | null
  readonly delay: Micros
  readonly available: string | null
  readonly until: string | null
  readonly id: string | null
  /** IANA zone of naive time columns. Default UTC. */
  readonly timezone: string
  readonly static: boolean
  /** Absolute paths of files, folders and patterns; null when the table exists elsewhere. */
  readonly file: string | readonly string[] | null
  /** How times in the file are written where that is not ISO: for all its time columns, or by column. */
  readonly format?: string | Readonly<Record<string, string>> | null
  /** Column → SQL type; overrides what the file seems to hold, or creates the table when there is no file. */
  readonly columns: Readonly<Record<string, string>> | null
}

/** How often a computed feature is computed again. `realtime`: in every request. */
export type Refresh =
  | { readonly kind: 'realtime' }
  | { readonly kind: 'interval'; readonly every: Micros }
  | { readonly kind: 'cron'; readonly pattern: string }

export type Computation = { readonly kind: 'sql'; readonly sql: SqlText } | { readonly kind: 'function' } | { readonly kind: 'pushed' }

export type HistoryMode = 'auto' | 'changes' | 'all' | 'off'

/** The end of a sentence; `named` names what it is about, which not everybody may see. */
export interface WhyAllKeys {
  readonly plain: string
  readonly named: string
}

export interface Sampled {
  /** Of keys; at most 1. */
  readonly share: number
  /** Until then all keys were recorded. */
  readonly from: Micros
}

/** One text for both engines, or one for each where the dialects truly differ. */
export type SqlText = string | { readonly duckdb: string; readonly postgres: string }

export interface FeatureColumn {
  /** Null for the single value of a feature without `columns`. */
  readonly name: string | null
  /** Null until inferred from the prepared statement (SQL features without `type`). */
  readonly type: ValueType | null
  /** Of a list or dict that says what it holds: the whole type, `list[string]`. */
  readonly element?: DeclaredType
}

/**
 * What is computed, stored and served together: one value, or several columns of one query. Everywhere in Fabra "feature" is this
 * unit; `spend.avg_30d` is a column of it.
 */
export interface Feature extends Described {
  readonly name: string
  /** The entity's name. */
  readonly entity: string
  readonly computation: Computation
  /** At least one. Exactly one with a null name, or all named. */
  readonly columns: readonly FeatureColumn[]
  /** Null for pushed features. */
  readonly refresh: Refresh | null
  readonly maxStaleness: Micros | null
  readonly lookBack: Micros | null
  /** JSON text per column served when there is nothing better; null: no default. */
  readonly defaults: readonly string[] | null
  /** Microseconds; null: the server's default in a request, 30 s in a refresh. */
  readonly timeout: Micros | null
  readonly keepWarm: Micros | null
  /** How long what is recorded is kept; null: as long as the server says, and what is pushed for ever. */
  readonly keep: Micros | null
  /** Which computed values are recorded; `auto`: for a sample of keys alone where `sampled` says so, else as `changes`. */
  readonly history: HistoryMode
  /** Its definition does not say it: the store does. Default: it is said. */
  readonly historyUnsaid?: true
  /** Of `auto`, once its sources are known: how its keys are chosen. Left out: all of them are recorded. */
  readonly sampled?: Sampled
  /** Why all of its keys are recorded, as the end of a sentence, where that was not asked for. Known to whoever serves it. */
  readonly whyAllKeys?: WhyAllKeys
  /** What was computed and recorded before then may have been followed by what was not: it is no latest value. Default: all counts. */
  readonly recordedSince?: Micros
  /** All keys are recorded, but from this time on until `recordedSince` not all of them were. */
  readonly gapFrom?: Micros
  /** Inputs that only the request knows. */
  readonly inputs: Readonly<Record<string, DeclaredType>>
  /** Names of features this one declares as its parts. */
  readonly uses: readonly string[]
  readonly replay: boolean
  /** Its function takes lists of at most so many keys; null: one key at a time. */
  readonly batch: number | null
  /** What becomes of a NaN in a float. */
  readonly nan: 'error' | 'null'
  /** Where its function looks at the clock or at chance, as far as that can be read: then it does not replay unless it says so. */
  readonly clock: readonly ClockUse[]
  /** Its function, or something of the project that it calls, names `db`. */
  readonly readsDb?: true
  readonly version: string | null
  readonly sameAs: string | null
  /** Sixteen hex digits; part of every stored value's name, so versions never mix. */
  readonly fingerprint: string
  /** The fingerprint that it would have if no `version` stood for its code. */
  readonly codeFingerprint: string
}

/** A place in a function that gives another answer each time it runs. */
export interface ClockUse {
  readonly file: string
  readonly line: number
  /** As it is written: `datetime.now()`. */
  readonly what: string
}

export interface FeatureSet extends Described {
  readonly name: string
  /** `spend`, `spend.avg_30d`, …, in the order written. All of them resolve. */
  readonly features: readonly string[]
}

/** Everything the user's files export, checked against itself. Maps keep the order of definition. */
export interface Registry {
  readonly entities: ReadonlyMap<string, Entity>
  readonly sources: ReadonlyMap<string, Source>
  readonly features: ReadonlyMap<string, Feature>
  readonly featureSets: ReadonlyMap<string, FeatureSet>
}

/** One column of one feature, as requests name it. */
export interface FeatureRef {
  readonly feature: Feature
  /** Index into `feature.columns`. */
  readonly column: number
  /** `transaction_count_1h` or `spend.avg_30d`. */
  readonly name: string
}
