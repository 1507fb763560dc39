import type { Time } from './basics.ts'

/** GET /v1/audit?action=…&subject=…&since=…&limit=…&before=…: newest first. */
export interface Audit {
  entries: AuditEntry[]
  /** `before` of the next page; null: this is the last. */
  next: string | null
  kept_days: number
}

/** Something that was written or administered. Values are never told. */
export interface AuditEntry {
  at: Time
  action: AuditAction
  /** The feature, source, entity or API key; null: it has none, or there is no such thing. */
  subject: string | null
  by: AuditActor
  /** Pushed, appended, forgotten, computed again; null: nothing is counted. */
  rows: number | null
  /** Requests that this tells of: more than one where the same was done too often to tell each. */
  requests: number
  /** `ok`, or the code of the error. */
  result: string
  /** Of the request, or of the first of them. */
  request_id: string | null
  /** More, by name: of what was forgotten the SHA-256 of its key, of a version its number and fingerprint. */
  detail: Record<string, string | number | boolean | null>
}

export type AuditAction =
  | 'values.push'
  | 'rows.append'
  | 'entity.forget'
  | 'feature.refresh'
  | 'definition.change'
  | 'definitions.reload'
  | 'server.start'
  | 'key.create'
  | 'key.rotate'
  | 'key.revoke'
  | 'schema.migrate'
  | 'data.backup'
  | 'history.export'
  | 'rows.export'

/** `key`: whoever had that API key. `user`: of the machine, who ran a command. `anyone`: no key was asked for. `server`: it did so by itself. */
export interface AuditActor {
  kind: 'key' | 'user' | 'anyone' | 'server'
  name: string | null
  /** Of the API key. */
  id: string | null
}
