/**
 * Everything a feature file may import from "fabra".
 *
 * ```ts
 * import { entity, feature, source } from 'fabra'
 *
 * export const User = entity('User', { key: 'user_id' })
 * export const transactions = source('transactions', { timestamp: 'created_at', file: './data/transactions.csv' })
 *
 * export const transaction_count_1h = feature({
 *   entity: User,
 *   refresh: '5m',
 *   type: 'int',
 *   sql: `SELECT COUNT(*) FROM transactions
 *         WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'`,
 * })
 * ```
 *
 * What is exported is what Fabra serves; a feature's name is its export name. `fabra check` says what is wrong with a file.
 */

// ---------------------------------------------------------------------------------------------------------------- values and times

/**
 * What a feature's value is.
 * - `int`: a whole number of 64 bits. In TypeScript a `number`, or a `bigint` beyond ±(2^53 − 1).
 * - `float`: a finite number. NaN and Infinity are errors.
 * - `string`, `bool`
 * - `timestamp`: an RFC 3339 text with a zone and microseconds, `2026-01-02T03:04:05.123456Z`.
 * - `list`: an array. `dict`: an object with text keys. `json`: anything JSON can say.
 * - `list[string]`, `dict[string, float]`, `list[list[int]]`: the same, and every value in it is of that type (or null). Training sets in
 *   Parquet and Arrow have such columns as lists and maps; others are JSON texts there.
 *
 * Null is a value of every type ("known to be nothing"). A value takes at most 64 KiB.
 */
export type ValueType =
  | 'int'
  | 'float'
  | 'string'
  | 'bool'
  | 'timestamp'
  | 'list'
  | 'dict'
  | 'json'
  | `list[${string}]`
  | `dict[string, ${string}]`

/** What one key column holds. Ids of type `int` are exact to 64 bits: functions get a `number`, or a `bigint` beyond ±(2^53 − 1). */
export type KeyType = 'string' | 'int' | 'uuid'

/** A length of time: `'500ms'`, `'30s'`, `'5m'`, `'1h'`, `'7d'`, `'2w'`, or `{ hours: 1, minutes: 30 }`. A day is 24 hours. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}` | DurationParts

/** Parts are added up. At least one is needed. */
export interface DurationParts {
  readonly weeks?: number
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
  readonly milliseconds?: number
}

/** A cron string of five fields (six with seconds) or its name, in UTC: `'0 6 * * *'`, `'@daily'`. */
export type Cron =
  | `${string} ${string} ${string} ${string} ${string}`
  | '@hourly'
  | '@daily'
  | '@midnight'
  | '@weekly'
  | '@monthly'
  | '@yearly'
  | '@annually'

/**
 * How often a feature is computed again.
 * - `0`: realtime. Computed in every request, never read from the store.
 * - a duration of at least one second: `'5m'`, `{ minutes: 5 }`.
 * - a cron string: fresh until the next firing.
 */
export type Refresh = 0 | Duration | Cron

/** One text for both engines, or one for each where DuckDB and PostgreSQL truly differ. */
export type Sql = string | { readonly duckdb: string; readonly postgres: string }

/** The TypeScript type a value of this type is read as. */
// biome-ignore lint/suspicious/noExplicitAny: what lists, dicts and json hold is known to the reader alone.
export type ValueOf<T> = 0 extends 1 & T ? any : KnownValue<T>

type KnownValue<T> = T extends keyof Values
  ? Values[T]
  : T extends `list[${infer E}]`
    ? (KnownValue<E> | null)[]
    : T extends `dict[string, ${infer E}]`
      ? Record<string, KnownValue<E> | null>
      : never

interface Values {
  int: number
  float: number
  string: string
  bool: boolean
  timestamp: string
  // biome-ignore lint/suspicious/noExplicitAny: see ValueOf.
  list: any[]
  // biome-ignore lint/suspicious/noExplicitAny: see ValueOf.
  dict: Record<string, any>
  // biome-ignore lint/suspicious/noExplicitAny: see ValueOf.
  json: any
}

/** What a function may return for a value of this type. Always null too; never undefined. */
export type Returned<T> = T extends keyof ReturnedValues
  ? ReturnedValues[T] | null
  : T extends `list[${infer E}]`
    ? readonly Returned<E>[] | null
    : T extends `dict[string, ${infer E}]`
      ? { readonly [key: string]: Returned<E> } | null
      : never

interface ReturnedValues {
  int: number | bigint
  float: number | bigint
  string: string
  bool: boolean
  timestamp: string | Date
  list: readonly unknown[]
  dict: NoPromise
  json: string | number | bigint | boolean | NoPromise
}

/** Any object or array but a promise: else `async () => {}` would pass for an object. */
type NoPromise = object & { readonly then?: never }

/** What a default may be, written out: an object of any fields where the type takes one. */
type DefaultOf<T> = T extends 'dict' ? object | null : T extends 'json' ? Returned<'json'> | object : Returned<T>

// ---------------------------------------------------------------------------------------------------------------- entities

declare const keyValue: unique symbol

/** A kind of thing that features describe: a user, a merchant, a (user, merchant) pair. `K` is what a function gets as its key. */
export interface Entity<out K = unknown> {
  readonly kind: 'entity'
  readonly [keyValue]?: K
}

/** One column, several columns, or columns with their types (`string` is the default). */
export type KeySpec = string | readonly [string, ...string[]] | { readonly [column: string]: KeyType }

interface KeyValues {
  string: string
  int: number
  uuid: string
}

type IsUnion<T, U = T> = T extends unknown ? ([U] extends [T] ? false : true) : never

/** The key value itself for one column; an object of all columns for several. */
export type KeyValue<K> = K extends string
  ? string
  : K extends readonly [string]
    ? string
    : K extends readonly string[]
      ? { readonly [C in K[number]]: string }
      : K extends { readonly [column: string]: KeyType }
        ? IsUnion<keyof K> extends true
          ? { readonly [C in keyof K]: KeyValues[K[C]] }
          : KeyValues[K[keyof K]]
        : never

/** Words for people. All of them are optional and shown in the catalogue. */
export interface Described {
  /** Default: the doc comment before the definition. */
  readonly description?: string
  /** Who to ask about it: a person or a team. */
  readonly owner?: string
  readonly tags?: readonly string[]
}

export interface EntityOptions<K extends KeySpec = KeySpec> extends Described {
  /** `'user_id'`, `['user_id', 'merchant_id']` or `{ user_id: 'int' }`. The columns are what requests, SQL (`$user_id`) and files name. */
  readonly key: K
  /** A query that lists every key, for scheduled refreshes: `'SELECT user_id FROM users'`. Default: the keys that were read or pushed lately. */
  readonly keys?: string
}

/**
 * Declare a kind of thing that features describe.
 * @example
 * export const User = entity('User', { key: 'user_id' })
 * export const Pair = entity('Pair', { key: { user_id: 'int', merchant_id: 'string' } })
 */
export function entity<const K extends KeySpec>(name: string, options: EntityOptions<K>): Entity<KeyValue<K>>

// ---------------------------------------------------------------------------------------------------------------- sources

/** A table of raw rows that features read. */
export interface Source {
  readonly kind: 'source'
}

export interface SourceOptions extends Described {
  /**
   * The column that says when a row came to be. It makes every SQL feature over the table point-in-time correct: seen from time t, rows
   * with `timestamp + delay < t` are there and no others. Without it (and without `static`) the table serves, but cannot train.
   */
  readonly timestamp?: string
  /** How much later than their timestamp rows become visible. Default 0. */
  readonly delay?: Duration
  /** The column that says when a row arrived; it is not visible before. */
  readonly available?: string
  /** The column that says until when a row holds (null: still does), for tables whose rows are replaced. Default: append-only. */
  readonly until?: string
  /** The column that identifies an event; repeats of it are dropped. */
  readonly id?: string
  /** IANA zone of time columns that carry none. Default UTC. */
  readonly timezone?: string
  /** The table does not change with time (countries, say): every row is visible at every time. Default false. */
  readonly static?: boolean
  /**
   * CSV, Parquet or JSON lines (`.csv.gz` and `.jsonl.zst`, too), relative to this file: one file, a folder with all below it, a pattern
   * such as `'./events/*.csv'`, or a list of these. Folders named `year=2026` become columns. Loaded as a table of the source's name.
   */
  readonly file?: string | readonly string[]
  /**
   * How times in the file are written where that is not ISO: as strptime has it (`'%d/%m/%Y %H:%M'`), or `'epoch_s'`, `'epoch_ms'`,
   * `'epoch_us'`; for all time columns, or by column.
   */
  readonly format?: string | { readonly [column: string]: string }
  /** Column → SQL type. With `file` it overrides what the file seems to hold; without, it creates the table. */
  readonly columns?: { readonly [column: string]: string }
}

/**
 * Declare a table that features read. Export it, so that Fabra sees it.
 * @param name The table's name as queries write it: `'transactions'`, `'shop.orders'`.
 * @example
 * export const transactions = source('transactions', { timestamp: 'created_at', file: './data/transactions.csv' })
 */
export function source(name: string, options?: SourceOptions): Source

// ---------------------------------------------------------------------------------------------------------------- features

/** What clients know of a feature by its definition: the key of its entity, its inputs and its columns (`never`: it is one value). */
export interface FeatureShape {
  readonly key: unknown
  readonly inputs: unknown
  readonly columns: unknown
}

/** A named value of an entity that changes over time. `T` is what `get(feature)` gives. */
// biome-ignore lint/suspicious/noExplicitAny: a feature whose type is inferred from its query may be read as anything.
export interface Feature<out T = any, out S extends FeatureShape = any> {
  readonly kind: 'feature'
  /** Known once the file is loaded. */
  readonly name: string
  /** For type checkers alone: there is no such property. */
  readonly '~feature'?: { readonly value: T; readonly shape: S }
}

export interface Shape<K, I, C> {
  readonly key: K
  readonly inputs: I
  readonly columns: C
}

/** Columns of one query: each is a feature of its own, `spend.avg_30d`. */
export type Columns = { readonly [column: string]: ValueType }

/** Values that only the request knows, by name. */
export type Inputs = { readonly [input: string]: ValueType }

type NoInputs = Record<never, ValueType>

/** All columns of a feature, as `get(feature)` gives them. */
export type ColumnValues<C> = { [N in keyof C]: ValueOf<C[N]> | null }

interface FeatureOptions<E> extends Described {
  /** What the feature describes. */
  readonly entity: E
  /** Default: the name it is exported under. Lower case: `^[a-z][a-z0-9_]*$`. */
  readonly name?: string
  /** The oldest value that is still served. Default: no limit. A request may ask for less with `max_age`. */
  readonly max_staleness?: Duration
  /** How far before a label's time a training set may reach for a recorded value. Default: `max_staleness`. */
  readonly look_back?: Duration
  /**
   * Which computed values are recorded: those that differ from the one before (`'changes'`), all, or none. `'auto'`, the default: of features whose
   * past can be recomputed as it was served, those of a sample of keys (`FABRA_HISTORY_SAMPLE`, 1 %); of others as `'changes'`.
   */
  readonly history?: 'auto' | 'changes' | 'all' | 'off'
  /**
   * How long recorded values are kept, pushed ones too: `'90d'`. The newest of each key always is. Default: computed ones as long as
   * `FABRA_HISTORY_KEEP` says, which is 400 days in a store that begins, pushed ones for ever.
   */
  readonly keep?: Duration
  /** Replaces the code in the feature's fingerprint: the values stay valid until you change it, whatever the code does. */
  readonly version?: string
  /** Fingerprint of an earlier version whose history this one goes on with. */
  readonly same_as?: string
}

interface ComputedOptions<E> extends FeatureOptions<E> {
  /** How often it is computed again: `0` (realtime), `'5m'`, `{ minutes: 5 }` or a cron string. */
  readonly refresh: Refresh
  /** Longest time of one computation. Default 1 s in a request (`FABRA_REQUEST_TIMEOUT`), 30 s in a refresh. */
  readonly timeout?: Duration
  /** How long after it was last read a key goes on being refreshed. Default: the larger of 24 h and ten times `refresh`. */
  readonly keep_warm?: Duration
  /** Features this one is made of. They are named in the catalogue, and a change to one of them makes a new version of this one. */
  readonly uses?: readonly (Feature | string)[]
}

interface OneValue<T extends ValueType, Default> {
  readonly columns?: never
  readonly type?: T
  /** Served when there is nothing better: no value yet, or too old and not to be computed. It does not stand in for null. */
  readonly default?: Default
}

interface ManyValues<C extends Columns> {
  readonly type?: never
  /** Column → type. The query (or the function's answer) has a column of each name; each is a feature of its own: `spend.avg_30d`. */
  readonly columns: C
  /** Served when there is nothing better; it names every column. */
  readonly default?: { readonly [N in keyof C]: DefaultOf<C[N]> } | null
}

interface SqlOptions<K = unknown> extends ComputedOptions<Entity<K>> {
  /**
   * A SELECT that gives one row for one key. Key columns are parameters: `$user_id`. `NOW()` is the time being computed for, and
   * rows of declared sources that were not there yet are not seen.
   */
  readonly sql: Sql
  readonly inputs?: never
  readonly replay?: never
  readonly batch?: never
  readonly nan?: never
}

interface FunctionOptions<K, I extends Inputs> extends ComputedOptions<Entity<K>> {
  readonly sql?: never
  /** Values that only the request knows: `{ amount: 'float' }`. Needs `refresh: 0`; what is computed from inputs is never stored. */
  readonly inputs?: I
  /** Training runs the function itself at each label's time instead of looking up what was recorded. Default: only when `refresh` is 0. */
  readonly replay?: boolean
  /** What becomes of a NaN in a float: an error (the default), or null. */
  readonly nan?: 'error' | 'null'
  readonly batch?: never
}

interface BatchOptions<K, I extends Inputs> extends Omit<FunctionOptions<K, I>, 'batch'> {
  /** The function takes a list of keys, at most so many at a time (`true`: 1,000), and gives a list with one value a key. */
  readonly batch: number | true
}

interface PushedOptions<K = unknown> extends FeatureOptions<Entity<K>> {
  readonly refresh?: never
  readonly sql?: never
  readonly inputs?: never
  readonly replay?: never
  readonly batch?: never
  readonly nan?: never
  readonly timeout?: never
  readonly keep_warm?: never
  readonly uses?: never
}

/** Several columns, pushed from outside. */
export function feature<const C extends Columns, K = unknown>(
  options: PushedOptions<K> & ManyValues<C>,
): Feature<ColumnValues<C>, Shape<K, NoInputs, ColumnValues<C>>>

/**
 * A value that is pushed from outside: no query, no function.
 * @example
 * export const churn_score = feature({ entity: User, type: 'float', max_staleness: '7d' })
 */
export function feature<T extends ValueType, K = unknown>(
  options: PushedOptions<K> & OneValue<T, DefaultOf<T>> & { readonly type: T },
): Feature<ValueOf<T>, Shape<K, NoInputs, never>>

/**
 * Several columns of one query are several features: `spend.total_30d`, `spend.avg_30d`.
 * @example
 * export const spend = feature({
 *   entity: User,
 *   refresh: '5m',
 *   columns: { total_30d: 'float', avg_30d: 'float' },
 *   sql: `SELECT COALESCE(SUM(amount), 0) AS total_30d, AVG(amount) AS avg_30d FROM transactions
 *         WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '30 days'`,
 * })
 */
export function feature<const C extends Columns, K = unknown>(
  options: SqlOptions<K> & ManyValues<C>,
): Feature<ColumnValues<C>, Shape<K, NoInputs, ColumnValues<C>>>

/**
 * A value computed by SQL: served, refreshed and trained with the same query. Without `type` the query's own type is taken.
 * @example
 * export const transaction_count_1h = feature({
 *   entity: User,
 *   refresh: '5m',
 *   type: 'int',
 *   sql: `SELECT COUNT(*) FROM transactions
 *         WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'`,
 * })
 */
// biome-ignore lint/suspicious/noExplicitAny: without `type` the query decides.
export function feature<T extends ValueType = any, K = unknown>(
  options: SqlOptions<K> & OneValue<T, DefaultOf<T>>,
): Feature<ValueOf<T>, Shape<K, NoInputs, never>>

/** Several columns of one function that takes many keys at once: a list of objects with all of them, one a key. */
export function feature<K, const C extends Columns, const I extends Inputs = NoInputs>(
  options: BatchOptions<K, I> & ManyValues<C>,
  compute: (keys: readonly K[], context: BatchContext<InputValues<I>>) => BatchOf<{ readonly [N in keyof C]: Returned<C[N]> }>,
): Feature<ColumnValues<C>>

/**
 * A function that takes many keys at once: a model, a remote service. It gives one value a key, in the order of the keys; an `Error` in the place
 * of one that failed. Keys of one refresh go together, those that are asked for at the same moment, and label rows of one time.
 * @example
 * export const propensity = feature({ entity: User, refresh: '1h', type: 'float', batch: 1000 },
 *   async (userIds) => userIds.map((id) => id.length / 10))
 */
export function feature<K, T extends ValueType = 'json', const I extends Inputs = NoInputs>(
  options: BatchOptions<K, I> & OneValue<T, DefaultOf<T>>,
  compute: (keys: readonly K[], context: BatchContext<InputValues<I>>) => BatchOf<Returned<T>>,
): Feature<ValueOf<T>>

/** Several columns of one function: it returns an object with all of them. */
export function feature<K, const C extends Columns, const I extends Inputs = NoInputs>(
  options: FunctionOptions<K, I> & ManyValues<C>,
  compute: (
    key: K,
    context: Context<InputValues<I>>,
  ) => { readonly [N in keyof C]: Returned<C[N]> } | PromiseLike<{ readonly [N in keyof C]: Returned<C[N]> }>,
): Feature<ColumnValues<C>, Shape<K, InputValues<I>, ColumnValues<C>>>

/**
 * A value computed by a function, sync or async. The key comes first: the value itself for one key column, an object for several.
 * Without `type` the value is `json`.
 * @example
 * export const user_velocity_1h = feature({ entity: User, refresh: 0, type: 'int' },
 *   async (userId, { db }) => db.fetchval(
 *     "SELECT COUNT(*) FROM transactions WHERE user_id = $1 AND created_at > NOW() - INTERVAL '1 hour'", userId))
 */
export function feature<K, T extends ValueType = 'json', const I extends Inputs = NoInputs>(
  options: FunctionOptions<K, I> & OneValue<T, DefaultOf<T>>,
  compute: (key: K, context: Context<InputValues<I>>) => Returned<T> | PromiseLike<Returned<T>>,
): Feature<ValueOf<T>, Shape<K, InputValues<I>, never>>

// ---------------------------------------------------------------------------------------------------------------- what functions get

/** The declared inputs with their values. A request that says null gives null; the types keep to the usual case. */
export type InputValues<I> = { readonly [N in keyof I]: ValueOf<I[N]> }

/** What a feature's function gets as its second argument. */
export interface Context<I = NoInputs> {
  /** The database that holds the sources, seen from `asOf`. */
  readonly db: Db
  /**
   * The value of another feature of the same entity key, as it would be served; null when there is none (or it is null).
   * Throws when it cannot be computed and nothing may stand in.
   */
  readonly get: Get
  /** The declared inputs of this request. */
  readonly inputs: I
  /** The time being computed for. Use it instead of `Date.now()`, so that training sees what serving would have seen. */
  readonly asOf: Date
  /** Aborted when nobody waits for the answer any more. Hand it to `fetch` and the like. */
  readonly signal: Signal
  readonly log: Log
}

/** What a function gets that takes many keys. A part of one key is read with the others, by a query. */
export interface BatchContext<I = NoInputs> extends Omit<Context<I>, 'get' | 'inputs'> {
  /** The declared inputs, beside the keys. */
  readonly inputs: readonly I[]
}

type BatchOf<V> = readonly (V | Error)[] | PromiseLike<readonly (V | Error)[]>

export interface Get {
  /** @example (await get(transaction_count_1h)) ?? 0 */
  <T>(feature: Feature<T>): Promise<T | null>
  /** By name, for features and columns: `get<number>('spend.avg_30d')`. */
  // biome-ignore lint/suspicious/noExplicitAny: a name does not tell a type.
  <T = any>(name: string): Promise<T | null>
}

/** Lines go to the server's log with the feature's name and key. */
export interface Log {
  debug(message: string, fields?: object): void
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
}

/** The standard AbortSignal where your type libraries declare it, else what is needed of it. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer S } } ? S : MinimalSignal

interface MinimalSignal {
  readonly aborted: boolean
  readonly reason: unknown
  throwIfAborted(): void
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** A value bound to a placeholder. It is never put into the text. */
export type SqlParameter = null | boolean | number | bigint | string | Date | readonly SqlParameter[]

/**
 * Read-only access to the database that holds the sources. Placeholders are `$1`, `?` or `%s`, one style per query, always bound.
 * Rows of declared sources that were not there at the time being computed for are not seen, and `NOW()` is that time.
 *
 * Whole numbers come as `number`, beyond ±(2^53 − 1) as `bigint`; timestamps as RFC 3339 texts.
 */
export interface Db {
  /** All rows, as objects by column. */
  // biome-ignore lint/suspicious/noExplicitAny: the query decides.
  query<Row = Record<string, any>>(sql: string, ...params: readonly SqlParameter[]): Promise<Row[]>
  /** First column of the first row; null when there is no row. */
  // biome-ignore lint/suspicious/noExplicitAny: the query decides.
  fetchval<T = any>(sql: string, ...params: readonly SqlParameter[]): Promise<T>
  /** First row; null when there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: the query decides.
  fetchrow<Row = Record<string, any>>(sql: string, ...params: readonly SqlParameter[]): Promise<Row | null>
}

/** The same as `db` of the context, for functions called deeper down. Outside a feature's function it throws. */
export const db: Db

// ---------------------------------------------------------------------------------------------------------------- feature sets

/** Features that are read and trained together. */
export interface FeatureSet {
  readonly kind: 'feature_set'
}

/**
 * Name features that a model reads together. A feature with columns stands for all of them; `'spend.avg_30d'` names one.
 * @example
 * export const fraud_v1 = featureSet('fraud_v1', [transaction_count_1h, 'spend.avg_30d'])
 */
export function featureSet(name: string, features: readonly (Feature | string)[], options?: Described): FeatureSet

// biome-ignore lint/complexity/noUselessEmptyExport: without it every declaration of this file would be exported.
export {}
