import type { Micros } from '../clock.ts'
import type { AuditPlace } from '../store/ports/audit-store.ts'
import type { AuditAction, AuditActor, AuditEntry } from './wire.ts'

/** What happened, as it is told. */
export interface AuditEvent {
  readonly action: AuditAction
  readonly subject: string | null
  readonly by: AuditActor
  readonly rows: number | null
  readonly result: string
  readonly requestId: string | null
  readonly detail?: AuditEntry['detail']
  /** What several processes tell, and is to be kept once; left out: it happened here alone. */
  readonly id?: string
}

export interface AuditQuery {
  readonly action?: string | undefined
  readonly subject?: string | undefined
  readonly since?: Micros | undefined
  readonly before?: AuditPlace | undefined
  readonly limit: number
}

export interface AuditBook {
  /** Resolves when what must not be lost is kept, and never rejects. */
  note(event: AuditEvent): Promise<void>
  /** Newest first. @throws FabraError store_unavailable */
  list(query: AuditQuery): Promise<readonly (AuditEntry & { readonly place: AuditQuery['before'] })[]>
}
