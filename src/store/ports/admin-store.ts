import type { Micros } from '../../clock.ts'
import type { RunRecord } from './run-store.ts'

/** What a key may do; none implies another. `train`: make training sets from labels that a query gives. */
export type Scope = 'read' | 'train' | 'write' | 'admin'

/** What a key may see at all, of what its scopes let it do. */
export interface Allowance {
  /** By name; null: all. */
  readonly features: readonly string[] | null
  /** By name, with all of their features; null: all. */
  readonly entities: readonly string[] | null
}

/** An API key. The key itself is known to its holder alone. */
export interface ApiKey {
  /** Short, for people: shown in lists, given to revoke. */
  readonly id: string
  readonly name: string
  /** SHA-256 of the key, 64 hexadecimal digits in lower case. */
  readonly hash: string
  readonly scopes: readonly Scope[]
  /** Null: it sees all. */
  readonly allowed: Allowance | null
  /** Requests a second; null: as many as it likes. */
  readonly rate: number | null
  readonly createdAt: Micros
  /** From then on it is refused; null: it has no end. */
  readonly expiresAt: Micros | null
  readonly revokedAt: Micros | null
  /** About when a server last let it in; null: never, as far as is known. */
  readonly lastUsedAt: Micros | null
}

/** What operating needs besides values: keys of the API, and what refreshes did. Shared by all processes. */
export interface AdminStore {
  /** Every key, revoked ones too, oldest first. @throws FabraError store_unavailable */
  apiKeys(): Promise<readonly ApiKey[]>
  /** Durable when it resolves. */
  addApiKey(key: ApiKey): Promise<void>
  /** @returns false where there is no such key. Revoking twice changes nothing. */
  revokeApiKey(id: string, at: Micros): Promise<boolean>
  /** An end that is nearer stays. @returns false where there is no such key. */
  expireApiKey(id: string, at: Micros): Promise<boolean>
  /** Keys that were let in until then; a later time that is known stays. */
  useApiKeys(ids: readonly string[], at: Micros): Promise<void>
  /** Keeps ended runs; old ones are forgotten. */
  addRuns(runs: readonly RunRecord[]): Promise<void>
  /** Newest first. */
  runs(filter: { readonly feature?: string; readonly limit: number }): Promise<readonly RunRecord[]>
}
