/**
 * The client for programs that ask a running server, in Node, Bun, workers and browsers:
 *
 * ```ts
 * import { createClient } from 'fabra/client'
 *
 * const fabra = createClient<typeof import('./features')>({ url: 'http://localhost:8000' })
 * const { value, status, ageMs } = await fabra.feature('transaction_count_1h', 'u1')
 * ```
 *
 * Names, keys, inputs and values are those of the definitions: another name or type does not compile. Only their types are used; the file is not loaded.
 * Features are known by the names under which they are exported.
 */

/** A feature's definition, as far as types tell. */
interface Defined {
  readonly kind: 'feature'
  readonly '~feature'?: {
    readonly value: unknown
    readonly shape: { readonly key: unknown; readonly inputs: unknown; readonly columns: unknown }
  }
}

type About<F> = F extends Defined ? NonNullable<F['~feature']> : never
type FeatureName<M> = { [N in keyof M]: M[N] extends Defined ? N : never }[keyof M] & string
type SetName<M> = { [N in keyof M]: M[N] extends { readonly kind: 'feature_set' } ? N : never }[keyof M] & string
type EntityName<M> = { [N in keyof M]: M[N] extends { readonly kind: 'entity' } ? N : never }[keyof M] & string
type SourceName<M> = { [N in keyof M]: M[N] extends { readonly kind: 'source' } ? N : never }[keyof M] & string
type Columns<F> = [About<F>['shape']['columns']] extends [never] ? Record<never, never> : About<F>['shape']['columns']
type ColumnName<M> = { [N in FeatureName<M>]: `${N}.${keyof Columns<M[N]> & string}` }[FeatureName<M>]

/** `transaction_count_1h`, or `spend.avg_30d` for one column. */
export type Name<M> = FeatureName<M> | ColumnName<M>

type Whole<N> = N extends `${infer F}.${string}` ? F : N
type ColumnShape<M, N> = Whole<N> extends keyof M ? About<M[Whole<N>]>['shape'] : never

/** What a feature's value is, or a column's. */
export type Value<M, N> = N extends keyof M
  ? About<M[N]>['value']
  : N extends `${infer F}.${infer C}`
    ? F extends keyof M
      ? C extends keyof Columns<M[F]>
        ? Columns<M[F]>[C]
        : never
      : never
    : never

/** The key of a feature's entity: the value of its only column, or all columns by name. */
export type Key<M, N> = ColumnShape<M, N>['key']

/** All columns of features that are asked for as a whole. */
type ReadName<M, N> =
  N extends FeatureName<M> ? ([About<M[N]>['shape']['columns']] extends [never] ? N : `${N}.${keyof Columns<M[N]> & string}`) : N

type InputsOf<M, N> = ColumnShape<M, N>['inputs']
type AllInputs<M, N> = (N extends unknown ? (one: InputsOf<M, N>) => void : never) extends (all: infer I) => void ? I : never
type KeyColumns<K> = K extends object ? K : { readonly entity_id: K }

/** A row that is asked about: a key, or an object with the key (`entity_id`, or the key's columns) and the inputs of the features. */
export type Row<M, N> =
  Record<never, never> extends AllInputs<M, N>
    ? Key<M, N> | (KeyColumns<Key<M, N>> & AllInputs<M, N>)
    : KeyColumns<Key<M, N>> & AllInputs<M, N>

export interface ClientOptions {
  /** `http://localhost:8000`. In a page of the server's own, `''`. */
  readonly url: string
  readonly apiKey?: string
  /** Of a whole call, tries and all. Default 10,000. */
  readonly timeoutMs?: number
  /** How often a read is sent again where the server does not answer or is busy. Default 3. Writes never are. */
  readonly retries?: number
  /** Default: the one of the platform. */
  readonly fetch?: (address: string, init: RequestInit) => Promise<Response>
}

export interface CallOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface ReadOptions extends CallOptions {
  /** Oldest age served: `30s`, `5m`. */
  readonly maxAge?: string
}

type WithInputs<M, N> =
  Record<never, never> extends InputsOf<M, N>
    ? [options?: ReadOptions & { readonly inputs?: InputsOf<M, N> }]
    : [options: ReadOptions & { readonly inputs: InputsOf<M, N> }]

export interface FeatureValue<T> {
  /** Null also where nothing is known: see `status`. */
  readonly value: T | null
  readonly status: 'fresh' | 'stale' | 'default' | 'missing'
  readonly servedFrom: 'online' | 'computed' | 'last_good' | 'default' | null
  /** Null where it is not known. */
  readonly ageMs: number | null
  readonly eventTimestamp: string | null
}

export interface FeatureRow<V> {
  readonly entity: Readonly<Record<string, string | number | bigint>>
  readonly values: V
  readonly statuses: { readonly [N in keyof V]: FeatureValue<unknown>['status'] | 'error' }
  readonly agesMs: { readonly [N in keyof V]: number | null }
  /** Of features that failed. */
  readonly errors: { readonly [N in keyof V]?: FabraError }
}

export interface Receipt {
  readonly accepted: number
  readonly duplicates: number
}

export interface Client<M> {
  /** One feature of one key. @throws FabraError also when the feature failed and nothing could stand in */
  feature<const N extends Name<M>>(name: N, key: Key<M, N>, ...options: WithInputs<M, N>): Promise<FeatureValue<Value<M, N>>>
  /** Features of a feature set, of many keys. */
  features(
    set: SetName<M>,
    rows: readonly unknown[],
    options?: ReadOptions,
  ): Promise<FeatureRow<{ readonly [R in Name<M>]?: Value<M, R> | null }>[]>
  /** Many features of many keys: one result a row, in the order of the rows. One that fails leaves the others alone. */
  features<const N extends Name<M>>(
    names: readonly N[],
    rows: readonly Row<M, N>[],
    options?: ReadOptions,
  ): Promise<FeatureRow<{ readonly [R in ReadName<M, N> & string]: Value<M, R> | null }>[]>
  /** Values of a feature; the answer comes when they are durable. Sending the same rows again is safe. */
  push<const N extends FeatureName<M>>(
    name: N,
    rows: readonly (Readonly<Record<string, unknown>> & ({ readonly value: Value<M, N> | null } | { readonly delete: true }))[],
    options?: CallOptions,
  ): Promise<Receipt>
  /** Events of a source, by the name under which it is exported or that of its table. */
  append(
    source: SourceName<M> | (string & Record<never, never>),
    rows: readonly Readonly<Record<string, unknown>>[],
    options?: CallOptions & { readonly idempotencyKey?: string },
  ): Promise<Receipt>
  /** Forgets a key of an entity: its stored values and history. */
  forget(
    entity: EntityName<M>,
    key: string | number | bigint | Readonly<Record<string, string | number | bigint>>,
    options?: CallOptions,
  ): Promise<{ readonly forgotten_at: string; readonly sources_untouched: readonly string[] }>
}

/** `code`, `hint` and `status` as https errors of the server have them; `server_unreachable` and `deadline_exceeded` where there was no answer. */
export class FabraError extends Error {
  readonly code: string
  readonly hint: string | undefined
  /** 0 where there was no answer. */
  readonly status: number
  readonly requestId: string | undefined
  /** After which the server asks to try again. */
  readonly retryAfterMs: number | undefined
}

export function createClient<M>(options: ClientOptions): Client<M>

// biome-ignore lint/complexity/noUselessEmptyExport: without it every declaration of this file would be exported.
export {}
