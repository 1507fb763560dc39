/** Who did what: told in the log at once, kept in the store a moment later, read from there with what other processes kept. */
import type { Clock, Micros } from '../clock.ts'
import { formatTime } from '../definition/time.ts'
import { FabraError } from '../errors.ts'
import type { AuditBook, AuditEvent, AuditQuery } from '../http/audit-book.ts'
import type { AuditEntry } from '../http/wire.ts'
import type { Logger } from '../observability/logger.ts'
import type { AuditRecord, AuditStore } from '../store/ports/audit-store.ts'
import type { ChangeRecord } from '../store/ports/change-store.ts'

const FLUSH_MS = 1_000
/** Waiting for the store at most; of more, the oldest are given up, aloud. */
const MOST_WAITING = 10_000
/** Who does the same more often than this in a minute is told of together. */
const MOST_ALIKE = 60
const MINUTE: Micros = 60_000_000
/** Whoever waits for something to be kept waits no longer: the store may be silent, and it is tried again. */
const LONGEST_WAIT_MS = 2_000
/** What is forgotten and the like: nobody is answered before it is kept, before that has failed, or before it took too long. */
const AT_ONCE: ReadonlySet<string> = new Set(['entity.forget', 'definitions.reload', 'key.create', 'key.rotate', 'key.revoke'])

export interface AuditOptions {
  readonly store: AuditStore
  readonly clock: Clock
  readonly log: Logger
}

export interface OwnAuditBook extends AuditBook {
  close(): Promise<void>
}

type Body = Omit<AuditEntry, 'at' | 'action' | 'subject' | 'result'>

interface Alike {
  readonly since: Micros
  count: number
  /** Those that are told of together, by the first of them. */
  rest: { readonly record: Omit<AuditRecord, 'body'>; readonly body: Body; rows: number | null; requests: number } | null
}

export function createAuditBook(options: AuditOptions): OwnAuditBook {
  return new Book(options)
}

class Book implements OwnAuditBook {
  private readonly options: AuditOptions
  private readonly alike = new Map<string, Alike>()
  private waiting: AuditRecord[] = []
  private lost = 0
  private hasFailed = false
  private flushing: Promise<void> | undefined
  private readonly timer: Timer

  constructor(options: AuditOptions) {
    this.options = options
    this.timer = setInterval(() => void this.flush(), FLUSH_MS)
    this.timer.unref()
  }

  async note(event: AuditEvent): Promise<void> {
    const { clock, log } = this.options
    const { id, action, subject, result, by, rows, requestId, detail = {} } = event
    const at = clock.now()
    const body: Body = { by, rows, requests: 1, request_id: requestId, detail }
    // What the server does by itself nobody needs to be told aloud.
    log[by.kind === 'server' ? 'debug' : 'info']('audit', {
      action,
      subject,
      by: by.name ?? by.kind,
      key_id: by.id,
      rows,
      result,
      request_id: requestId,
      ...detail,
    })
    if (id === undefined && this.isOneOfMany(event, at, body)) return
    this.add({ id: id ?? newId(action), at, action, subject, result, body: JSON.stringify(body) })
    if (AT_ONCE.has(action)) await noLonger(this.flush(), LONGEST_WAIT_MS)
  }

  async list({
    action,
    subject,
    since,
    before,
    limit,
  }: AuditQuery): Promise<readonly (AuditEntry & { readonly place: AuditQuery['before'] })[]> {
    await this.flush()
    const records = await this.options.store.audit({ action, subject, since, before, limit })
    return records.map((record) => ({ ...entryOf(record), place: { at: record.at, id: record.id } }))
  }

  /** @returns true: it is told of with others, when the minute is over. */
  private isOneOfMany({ action, subject, result, by }: AuditEvent, at: Micros, body: Body): boolean {
    const name = `${action}\0${result}\0${subject ?? '\0'}\0${by.kind}\0${by.id}\0${by.name}`
    const known = this.alike.get(name)
    if (known === undefined || at - known.since >= MINUTE) {
      this.tellRest(known)
      this.alike.set(name, { since: at, count: 1, rest: null })
      return false
    }
    if (++known.count <= MOST_ALIKE) return false
    const { rest } = known
    if (rest === null) known.rest = { record: { id: newId(action), at, action, subject, result }, body, rows: body.rows, requests: 1 }
    else {
      rest.rows = plus(rest.rows, body.rows)
      rest.requests++
    }
    return true
  }

  private tellRest(alike: Alike | undefined): void {
    if (!alike?.rest) return
    const { record, body, rows, requests } = alike.rest
    this.add({ ...record, body: JSON.stringify({ ...body, rows, requests }) })
    alike.rest = null
  }

  private add(record: AuditRecord): void {
    this.waiting.push(record)
    if (this.waiting.length <= MOST_WAITING) return
    this.waiting.shift()
    this.lost++
  }

  /** One after the other: what was given to the store is not given twice. Never rejects. */
  private flush(): Promise<void> {
    this.flushing = (this.flushing ?? Promise.resolve()).then(() => this.write())
    return this.flushing
  }

  private async write(): Promise<void> {
    const { store, clock, log } = this.options
    const now = clock.now()
    for (const [name, alike] of this.alike) {
      if (now - alike.since < MINUTE) continue
      this.tellRest(alike)
      this.alike.delete(name)
    }
    const taken = this.waiting
    if (taken.length === 0) return
    this.waiting = []
    try {
      await store.addAudit(taken)
      if (this.lost > 0) log.error('lines of the audit log were lost while it could not be written', { lines: this.lost })
      this.lost = 0
      this.hasFailed = false
    } catch (error) {
      const all = [...taken, ...this.waiting]
      this.waiting = all.slice(-MOST_WAITING)
      this.lost += all.length - this.waiting.length
      if (!this.hasFailed) log.warn('The audit log could not be written; it is tried again.', { error })
      this.hasFailed = true
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    for (const alike of this.alike.values()) this.tellRest(alike)
    this.alike.clear()
    await noLonger(this.flush(), LONGEST_WAIT_MS)
  }
}

function newId(action: string): string {
  return `${action}:${crypto.randomUUID()}`
}

async function noLonger(work: Promise<void>, ms: number): Promise<void> {
  const over = Promise.withResolvers<void>()
  const timer = setTimeout(over.resolve, ms)
  await Promise.race([work, over.promise])
  clearTimeout(timer)
}

function plus(a: number | null, b: number | null): number | null {
  return a === null && b === null ? null : (a ?? 0) + (b ?? 0)
}

/** Written by another version of Fabra, its body may be anything. */
function entryOf({ at, action, subject, result, body }: AuditRecord): AuditEntry {
  const known = bodyOf(body)
  return { at: formatTime(at), action: action as AuditEntry['action'], subject, result, ...NOBODY, ...known }
}

/** New versions of features, and starts. */
export function auditedChanges(audit: AuditBook): (change: ChangeRecord) => void {
  return ({ id, kind, subject, body }) => {
    const event = { subject, by: SERVER, rows: null, result: 'ok', requestId: null, id } as const
    if (kind === 'start') void audit.note({ ...event, action: 'server.start' })
    if (kind !== 'version') return
    const { number, fingerprint } = JSON.parse(body) as { readonly number: number; readonly fingerprint: string }
    void audit.note({ ...event, action: 'definition.change', detail: { number, fingerprint } })
  }
}

export async function auditedReload(audit: AuditBook, reload: () => Promise<void>): Promise<void> {
  const event = { action: 'definitions.reload', subject: null, by: SERVER, rows: null, requestId: null } as const
  try {
    await reload()
  } catch (error) {
    await audit.note({ ...event, result: error instanceof FabraError ? error.code : 'internal' })
    throw error
  }
  await audit.note({ ...event, result: 'ok' })
}

const SERVER = { kind: 'server', name: null, id: null } as const
const NOBODY: Body = { by: SERVER, rows: null, requests: 1, request_id: null, detail: {} }

function bodyOf(text: string): Partial<Body> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch {
    return {}
  }
}
