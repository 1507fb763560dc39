import type { Micros } from '../../clock.ts'

/** Something that was written or administered, as it is kept. */
export interface AuditRecord {
  /** What several processes see is told by each of them with the same id, and kept once. */
  readonly id: string
  readonly at: Micros
  /** `values.push` */
  readonly action: string
  /** The feature, source, entity or API key; null: it has none, or there is no such thing. */
  readonly subject: string | null
  /** `ok`, or the code of the error. */
  readonly result: string
  /** JSON: who, how many rows, in which request. */
  readonly body: string
}

/** Where a page of them ends. */
export interface AuditPlace {
  readonly at: Micros
  readonly id: string
}

/** Kept so long, and at most so many; of more, the oldest go. */
export const AUDIT_KEPT_DAYS = 365
export const MOST_AUDIT_RECORDS = 200_000

/** Who did what, among all processes. Nothing that is kept is changed. */
export interface AuditStore {
  /** Durable when it resolves. @throws FabraError store_unavailable */
  addAudit(records: readonly AuditRecord[]): Promise<void>
  /** Newest first. @param filter.before Those behind that place. @throws FabraError store_unavailable */
  audit(filter: {
    readonly action?: string | undefined
    readonly subject?: string | undefined
    readonly since?: Micros | undefined
    readonly before?: AuditPlace | undefined
    readonly limit: number
  }): Promise<readonly AuditRecord[]>
}
