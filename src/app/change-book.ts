/** What changed, for people: kept in the store a moment after it happened, with what other processes saw. */
import type { Clock, Micros } from '../clock.ts'
import type { Registry } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import { type ChangeBook, type FeatureVersion, type ProcessFacts, placeOf } from '../http/insight/insight.ts'
import type { Change, DefinitionText } from '../http/wire.ts'
import type { Logger } from '../observability/logger.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import type { ChangeRecord, ChangeStore, ShownChange } from '../store/ports/change-store.ts'
import { ChangesTogether } from './changes-together.ts'
import { createTextReader, type WrittenText } from './definition-text.ts'

/** Pushes of a feature, or rows appended to a source, are told of together. */
const TOGETHER: Micros = 60_000_000
const FLUSH_MS = 2_000
const FRESHEN_MS = 5_000
/** Read from the store at most. */
const MOST_VERSIONS = 20_000
const MOST_OTHERS = 2_000
/** Waiting for the store at most. */
const MOST_WAITING = 5_000
const FEWEST_INTERVALS = 2
/** Remembered; of the oldest that are no versions some are let go. */
const MOST_KNOWN = 25_000
const LET_GO = 1_000
const MOST_PUSHES = 200

export interface WritableChangeBook extends ChangeBook {
  /** Reads what is known, and begins to keep. */
  open(registry: Registry, version: string): Promise<void>
  /** Other definitions are served now. */
  observe(registry: Registry): Promise<void>
  pushed(feature: string, rows: number): void
  appended(source: string, rows: number): void
  /** Learns what other processes saw. Never rejects. */
  freshen(): Promise<void>
  close(): Promise<void>
}

export interface ChangeBookOptions {
  readonly store: ChangeStore
  readonly admin: Pick<AdminStore, 'apiKeys'>
  readonly facts: ProcessFacts
  readonly clock: Clock
  readonly log: Logger
  /** Told of what is new, as far as this process knows. */
  readonly onNew?: (change: ChangeRecord) => void
}

interface Body {
  readonly message: string
  readonly rows?: number
  readonly number?: number
  readonly fingerprint?: string
  readonly text?: DefinitionText | null
  readonly file?: string
  readonly line?: number
}

interface RecordedChange {
  readonly record: ShownChange
  readonly body: Body
}

export function createChangeBook(options: ChangeBookOptions): WritableChangeBook {
  return new Book(options)
}

class Book implements WritableChangeBook {
  private readonly options: ChangeBookOptions
  private readonly known = new Map<string, RecordedChange>()
  /** Newest first. */
  private readonly versions = new Map<string, FeatureVersion[]>()
  /** Times of pushes, oldest first. */
  private readonly pushes = new Map<string, Micros[]>()
  private readonly together = new Map<string, ChangesTogether>()
  private waiting: ChangeRecord[] = []
  private timer: Timer | undefined
  private isOpen = false
  private freshened = Number.NEGATIVE_INFINITY
  private hasFailed = false
  knownSince: Micros

  constructor(options: ChangeBookOptions) {
    this.options = options
    this.knownSince = options.facts.startedAt
  }

  async open(registry: Registry, version: string): Promise<void> {
    await this.freshen()
    this.isOpen = true
    this.timer = setInterval(() => void this.flush(), FLUSH_MS)
    this.timer.unref()
    const at = this.options.facts.startedAt
    this.add('start', version, at, `start:${crypto.randomUUID()}`, {
      message: `started with ${registry.features.size} ${registry.features.size === 1 ? 'feature' : 'features'}`,
    })
    await this.observe(registry)
  }

  async observe(registry: Registry): Promise<void> {
    if (!this.isOpen) return
    const { facts, clock } = this.options
    const textOf = createTextReader()
    for (const { name, fingerprint, location } of registry.features.values()) {
      const [latest] = this.versions.get(name) ?? []
      const written = textOf(location)
      if (latest?.fingerprint === fingerprint && isSame(latest.text, written)) continue
      const number = (latest?.number ?? 0) + 1
      const place = placeOf(facts, location)
      const text = written && place && { ...written, file: place.file, lines: [...written.lines] }
      const message = latest ? `has version ${number}` : 'is new'
      this.add('version', name, clock.now(), `version:${name}:${number}:${fingerprint}`, { message, number, fingerprint, text, ...place })
    }
    await this.observeLoads(registry)
  }

  private async observeLoads({ sources }: Registry): Promise<void> {
    const loaded = await this.options.store.loadedSources().catch(() => new Map<string, Micros>())
    for (const [source, at] of loaded) {
      const { location = null } = sources.get(source) ?? {}
      const place = placeOf(this.options.facts, location)
      if (sources.has(source)) this.add('source', source, at, `source:${source}:${at}`, { message: 'was loaded from its file', ...place })
    }
  }

  pushed(feature: string, rows: number): void {
    this.addTogether('push', feature, rows)
  }

  appended(source: string, rows: number): void {
    this.addTogether('source', source, rows)
  }

  /** The first of a minute is noted at once, its rows when the minute is over. */
  private addTogether(kind: 'push' | 'source', subject: string, rows: number): void {
    if (!this.isOpen) return
    const now = this.options.clock.now()
    const id = `${kind}:${subject}`
    const open = this.together.get(id)
    if (open && now - open.record.at < TOGETHER) {
      open.rows += rows
      return
    }
    if (open) this.keep(open)
    const record: ShownChange = { id: `${id}:${crypto.randomUUID()}`, at: now, kind, subject, body: '' }
    const begun = new ChangesTogether(record, rows)
    this.together.set(id, begun)
    this.remember(record, begun)
  }

  private keep({ record, rows, message }: ChangesTogether): void {
    this.waiting.push({ ...record, body: JSON.stringify({ message, rows } satisfies Body) })
  }

  private add(kind: ShownChange['kind'], subject: string, at: Micros, id: string, body: Body): void {
    if (this.known.has(id)) return
    const record = { id, at, kind, subject, body: JSON.stringify(body) }
    this.remember(record, body)
    this.waiting.push(record)
    this.options.onNew?.(record)
    if (this.waiting.length > MOST_WAITING) this.waiting.shift()
  }

  private remember(record: ShownChange, body: Body): void {
    const isNew = !this.known.has(record.id)
    this.known.set(record.id, { record, body })
    if (!isNew) return
    if (this.known.size > MOST_KNOWN) this.letGo()
    if (record.kind === 'push') insert(this.pushes, record.subject, record.at, (at) => at, MOST_PUSHES)
    if (record.kind !== 'version') return
    const version = { number: body.number ?? null, fingerprint: body.fingerprint ?? '', since: record.at, text: body.text ?? null }
    insert(this.versions, record.subject, version, ({ since }) => -since)
  }

  private letGo(): void {
    let left = LET_GO
    for (const [id, { record }] of this.known) {
      if (record.kind !== 'version') this.known.delete(id)
      if (record.kind !== 'version' && --left === 0) return
    }
  }

  private async flush(): Promise<void> {
    const now = this.options.clock.now()
    for (const [id, open] of this.together) {
      if (now - open.record.at < TOGETHER) continue
      this.together.delete(id)
      this.keep(open)
    }
    const taken = this.waiting
    if (taken.length === 0) return
    this.waiting = []
    try {
      await this.options.store.addChanges(taken)
      this.hasFailed = false
    } catch (error) {
      this.waiting = [...taken, ...this.waiting].slice(-MOST_WAITING)
      if (!this.hasFailed) this.options.log.warn('What changed could not be kept; it is tried again.', { error })
      this.hasFailed = true
    }
  }

  async freshen(): Promise<void> {
    const now = performance.now()
    if (now - this.freshened < FRESHEN_MS) return
    this.freshened = now
    try {
      const { store } = this.options
      const [versions, others] = await Promise.all([
        this.versions.size === 0 ? store.changes({ kind: 'version', limit: MOST_VERSIONS }) : [],
        store.changes({ limit: MOST_OTHERS }),
      ])
      for (const record of [...versions, ...others].filter(isShown)) {
        this.knownSince = Math.min(this.knownSince, record.at)
        if (!this.known.has(record.id)) this.remember(record, bodyOf(record))
      }
    } catch (error) {
      this.options.log.debug('what changed could not be read', { error })
    }
  }

  async list({ since, limit }: { readonly since: Micros | null; readonly limit: number }): Promise<readonly Change[]> {
    await this.freshen()
    const keys = await this.options.admin.apiKeys().catch(() => [])
    const changes = [...this.known.values()].map(({ record, body }) => ({ at: record.at, change: changeOf(record, body) }))
    for (const { name, createdAt, revokedAt, scopes } of keys) {
      changes.push({ at: createdAt, change: keyChange(name, createdAt, `was made and may ${scopes.join(', ')}`) })
      if (revokedAt !== null) changes.push({ at: revokedAt, change: keyChange(name, revokedAt, 'was revoked') })
    }
    return changes
      .filter(({ at }) => since === null || at >= since)
      .sort((a, b) => b.at - a.at)
      .slice(0, limit)
      .map(({ change }) => change)
  }

  versionsOf(feature: string): readonly FeatureVersion[] {
    return this.versions.get(feature) ?? []
  }

  lastPushAt(feature: string): Micros | null {
    return this.pushes.get(feature)?.at(-1) ?? null
  }

  usualPushMs(feature: string): number | null {
    const times = this.pushes.get(feature) ?? []
    const between = times.slice(1).map((at, i) => (at - (times[i] ?? at)) / 1_000)
    if (between.length < FEWEST_INTERVALS) return null
    return between.toSorted((a, b) => a - b)[Math.floor(between.length / 2)] ?? null
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    for (const open of this.together.values()) this.keep(open)
    this.together.clear()
    await this.flush()
  }
}

/** Options that decide nothing about values make no other fingerprint, but are a change all the same; comments are none. */
function isSame(before: DefinitionText | null, now: WrittenText | null): boolean {
  if (before === null || now === null) return true
  const code = (lines: readonly string[]) => lines.filter((line) => !/^\s*(\/\/|\/?\*|#)/.test(line)).join('\n')
  return code(before.lines) === code(now.lines)
}

function isShown(record: ChangeRecord): record is ShownChange {
  return record.kind !== 'history'
}

function changeOf({ at, kind, subject }: ShownChange, { message, rows, number, file, line }: Body): Change {
  const place = file !== undefined && line !== undefined ? { file, line } : null
  return { at: formatTime(at), kind, subject, message, version_number: number ?? null, rows: rows ?? null, place }
}

function keyChange(subject: string, at: Micros, message: string): Change {
  return { at: formatTime(at), kind: 'key', subject, message, version_number: null, rows: null, place: null }
}

function insert<T>(lists: Map<string, T[]>, subject: string, item: T, order: (item: T) => number, most = MOST_VERSIONS): void {
  const list = lists.get(subject) ?? []
  lists.set(subject, list)
  let at = list.length
  while (at > 0 && order(list[at - 1] as T) > order(item)) at--
  list.splice(at, 0, item)
  if (list.length > most) list.shift()
}

/** Written by another version of Fabra, it may be anything. */
function bodyOf({ body }: ChangeRecord): Body {
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) return { ...parsed, message: String(parsed.message) }
  } catch {
    // Told without its words.
  }
  return { message: 'changed' }
}
