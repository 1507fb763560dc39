/** What is sent and asked in the days of a year. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Micros } from '../../src/clock.ts'
import { formatTime } from '../../src/definition/time.ts'
import { until } from '../../test/support/until.ts'
import { COMPUTED, definitions, noteOf, PUSHED } from './definitions.ts'
import { NAMES, Oracle } from './oracle.ts'
import type { Replica } from './replica.ts'

const DAY: Micros = 86_400_000_000
const HOUR: Micros = DAY / 24
const LIMIT_MS = 600_000
const LOOK_MS = 300
const READ_ROWS = 500
/** Of the keys, sent in half a day. */
const EVENTS_SHARE = 0.2
const PUSHES_SHARE = 0.2
/** A push is of half a KiB. */
const MOST_PUSHES = 1_000
/** Visitors are read once, and never again: so many a day for each hundred keys. */
const VISITORS_SHARE = 0.01
const LABELS_A_SET = 50
const MOST_READS = 6
const READ_PAUSE_MS = 500

interface Answer {
  readonly results: readonly { readonly statuses: readonly string[]; readonly errors?: unknown }[]
}

export interface LifeOptions {
  readonly replica: Replica
  readonly folder: string
  readonly keys: number
  /** Days for which training sets are asked. */
  readonly keptDays: number
  /** 0 to 1. */
  readonly random: () => number
  readonly onProblem: (what: string) => void
}

export class Life {
  version = 0
  checked = 0
  private readonly options: LifeOptions
  private readonly oracle = new Oracle()
  /** Times at which nothing happened for an hour before and after. */
  private readonly quiet: Micros[] = []
  private pushed = 0
  private visitors = 0

  constructor(options: LifeOptions) {
    this.options = options
  }

  writeDefinitions(): void {
    writeFileSync(join(this.options.folder, 'features.ts'), definitions(this.version))
  }

  /** @param day Counted from 0. */
  async day(day: number): Promise<void> {
    const { replica } = this.options
    if (day % 7 === 0) await this.readAll()
    for (let half = 0; half < 2; half++) {
      await this.send()
      await this.readSome()
      if (day % 7 === 3 && half === 0) await this.changeDefinitions()
      if (day % 7 === 5 && half === 1) await this.crash()
      this.quiet.push(replica.now() + 11 * HOUR)
      await this.leap(12 * HOUR)
    }
  }

  /** A year's upgrades: the new one opens what the old one left. */
  async restart(): Promise<void> {
    await this.options.replica.end('SIGTERM')
    await this.options.replica.start()
  }

  /** Everything again as it was at past times. */
  async train(sets: number): Promise<void> {
    const { replica, keys, keptDays, random } = this.options
    const now = replica.now()
    const times = this.quiet.filter((time) => time < now && time > now - keptDays * DAY)
    for (let n = 0; n < sets; n++) {
      const labels = Array.from({ length: LABELS_A_SET }, () => ({
        key: this.key(Math.floor(random() * keys)),
        time: times[Math.floor(random() * times.length)] ?? now,
      }))
      const rows = labels.map(({ key, time }) => ({ user_id: key, event_timestamp: formatTime(time) }))
      const { columns, preview } = await replica.ask<{
        readonly columns: readonly { readonly name: string }[]
        readonly preview: readonly { readonly row: number; readonly values: readonly unknown[] }[]
      }>(`/v1/training-sets?limit=${LABELS_A_SET}`, { features: NAMES, rows })
      const places = NAMES.map((name) => columns.findIndex((column) => column.name === name))
      if (preview.length !== LABELS_A_SET) this.options.onProblem(`a training set of ${preview.length} rows instead of ${LABELS_A_SET}`)
      for (const { row, values } of preview) {
        const { key = '', time = 0 } = labels[row] ?? {}
        const found = places.map((place) => (values[place] === null ? null : String(values[place])))
        this.checked += found.length
        const expected = this.oracle.asOf(key, time, this.version)
        for (const [i, name] of NAMES.entries())
          if (found[i] !== expected[i])
            this.options.onProblem(`${name} of ${key} as of ${formatTime(time)}: ${found[i]} instead of ${expected[i]}`)
      }
    }
  }

  /** For whoever measures. */
  async readSome(): Promise<void> {
    const { keys, random } = this.options
    await this.read(Array.from({ length: READ_ROWS }, () => this.key(Math.floor(random() * keys))))
  }

  private async readAll(): Promise<void> {
    const { keys } = this.options
    for (let from = 0; from < keys; from += READ_ROWS)
      await this.read(Array.from({ length: Math.min(READ_ROWS, keys - from) }, (_, i) => this.key(from + i)))
  }

  /** As every client does, it asks again where a busy machine was late. */
  private async read(keys: readonly string[]): Promise<void> {
    const question = { features: NAMES, rows: keys.map((user_id) => ({ user_id })) }
    for (let tries = 1; ; tries++) {
      const { results } = await this.options.replica.ask<Answer>('/v1/features', question)
      const failed = results.flatMap(({ statuses, errors }) => (statuses.includes('error') ? [errors] : []))
      if (failed.length === 0) return
      if (tries === MOST_READS) return this.options.onProblem(`a read had errors: ${JSON.stringify(failed[0])}`)
      await Bun.sleep(READ_PAUSE_MS * tries)
    }
  }

  private key(n: number): string {
    return `user_${n}`
  }

  private async send(): Promise<void> {
    const { replica, keys, random } = this.options
    const some = (count: number) => Array.from({ length: Math.ceil(count) }, () => this.key(Math.floor(random() * keys)))
    const now = replica.now()
    const events = some(keys * EVENTS_SHARE).map((user_id, i) => ({ user_id, kind: i % 3, at: now - i }))
    const rows = events.map(({ at, ...row }) => ({ ...row, seen_at: formatTime(at) }))
    await replica.ask('/v1/sources/events/rows', { rows })
    for (const { user_id, kind, at } of events) this.oracle.event(user_id, kind, at)
    const pushed = new Set(some(Math.min(MOST_PUSHES, keys * PUSHES_SHARE)))
    const pushes = [...pushed].map((user_id) => ({ user_id, n: ++this.pushed }))
    const values = pushes.map(({ user_id, n }) => ({ user_id, value: noteOf(n), event_timestamp: formatTime(now) }))
    await replica.ask(`/v1/features/${PUSHED}/values`, { rows: values })
    for (const { user_id, n } of pushes) this.oracle.push(user_id, n, now)
    const forgotten = this.key(Math.floor(random() * keys))
    await replica.ask(`/v1/entities/User/${forgotten}`, undefined, 'DELETE')
    this.oracle.forget(forgotten)
    const count = Math.ceil(keys * VISITORS_SHARE)
    await this.read(Array.from({ length: count }, () => `visitor_${this.visitors++}`))
  }

  private async changeDefinitions(): Promise<void> {
    this.version++
    this.writeDefinitions()
    await this.options.replica.reloaded()
  }

  private async crash(): Promise<void> {
    await this.options.replica.end('SIGKILL')
    await this.options.replica.start()
  }

  /** Resolves when every feature has been refreshed. */
  private async leap(by: Micros): Promise<void> {
    const { replica } = this.options
    await replica.leap(by)
    const since = formatTime(replica.now() - HOUR)
    await until('all to be refreshed', LIMIT_MS, async () => {
      // Each look is work for the server.
      await Bun.sleep(LOOK_MS)
      const { runs } = await replica.ask<{ readonly runs: readonly { readonly feature: string; readonly state: string }[] }>(
        `/v1/runs?since=${since}&limit=60`,
      )
      const done = new Set(runs.filter(({ state }) => state !== 'running').map(({ feature }) => feature))
      return COMPUTED.every((name) => done.has(name)) ? true : undefined
    })
  }
}
