import { Ledger } from '../chaos-parts/ledger.ts'
import { nextTime } from '../chaos-parts/load.ts'
import type { Client, Problems } from './client.ts'
import { amountOf, thrice, twice } from './definitions.ts'
import { Events } from './events.ts'

const KEYS = 5_000
/** Few are written again and again, and read as often. */
const BUSY_KEYS = 50
const BATCH = 20
const NAMES = ['score', 'twice', 'thrice', 'counted.n', 'counted.total']
const FORGET_AFTER_MS = 3_000
const PUSHES = Number(process.env['PUSHES'] ?? 0)
/** Share of the pushes after which all replicas are asked, as soon as they must know. */
const FOLLOWED = Number(process.env['FOLLOWED'] ?? 0.2)
const FOLLOW_AFTER_MS = 1_001

interface Value {
  readonly value: unknown
  readonly status: string
  readonly served_from?: unknown
  readonly freshness_ms: number | null
}

interface BatchRow {
  readonly values: unknown[]
  readonly statuses: string[]
  readonly served_from: unknown[]
  readonly freshness_ms: (number | null)[]
}

/** All kinds of requests, each with a look at what comes back. */
export class Work {
  readonly ledger = new Ledger()
  readonly events = new Events()
  forgotten = 0
  /** Until then PostgreSQL is away. A busy machine lets Redis be late meanwhile, and what a replica read last is all that it has: it may be old, and says so. */
  historyAwayUntil = 0
  /** Such answers that contradict what was acknowledged. */
  lastResorts = 0
  private readonly client: Client
  private readonly problems: Problems
  private pushed = 1_000_000
  private made = 0
  /** Forgotten keys, and when: they are asked for again until the end. */
  private readonly following = new Set<Promise<void>>()
  private readonly gone: { readonly key: string; readonly at: number }[] = []

  constructor(client: Client, problems: Problems) {
    this.client = client
    this.problems = problems
  }

  /** One request, of which kind chance decides. */
  async one(): Promise<void> {
    const kind = Math.random()
    if (PUSHES > 0 && Math.random() < PUSHES) return this.push(this.anyKey())
    if (kind < 0.25) return this.readScore(this.anyKey())
    if (kind < 0.35) return this.readMany()
    if (kind < 0.45) return this.readTwice()
    if (kind < 0.55) return this.readThrice()
    if (kind < 0.68) return this.readCounted(this.anyKey())
    if (kind < 0.85) return this.push(this.anyKey())
    if (kind < 0.97) return this.append(this.anyKey())
    if (kind < 0.98) return this.refresh()
    if (kind < 0.99) return this.forget()
    if (kind < 0.995) return this.readForgotten()
    return this.train()
  }

  async push(key: string): Promise<void> {
    const isDeletion = Math.random() < 0.1
    const write = this.ledger.begin(key, isDeletion ? undefined : ++this.pushed)
    const row = { user_id: key, ...(isDeletion ? { delete: true } : { value: write.value }), event_timestamp: nextTime() }
    const { status } = await this.client.ask('push', '/v1/features/score/values', { body: { rows: [row] } })
    this.ledger.end(write, status)
    if (status === 200 && Math.random() < FOLLOWED) this.follow(key)
  }

  /** Whoever is asked a second after a push, each replica must know of it. */
  private follow(key: string): void {
    const looking = Bun.sleep(FOLLOW_AFTER_MS)
      .then(() => this.client.askAll('read after a push', `/v1/features/score?user_id=${key}`))
      .then((answers) => {
        for (const { status, json, askedAt } of answers)
          if (status === 200) this.checkScore(key, (json as Value).value, askedAt, { ...(json as Value), what: 'after a push' })
      })
      .finally(() => this.following.delete(looking))
    this.following.add(looking)
  }

  /** Of everything that was ever acknowledged. */
  async readAll(): Promise<void> {
    await Promise.all(this.following)
    for (let n = 0; n < KEYS; n += 100) {
      const keys = Array.from({ length: 100 }, (_, i) => `k${n + i}`)
      await this.readBatch('all', keys, ['score', 'counted.n', 'counted.total'])
    }
    for (const { key } of this.gone) await this.readGone(key)
  }

  private anyKey(): string {
    return `k${Math.floor(Math.random() * (Math.random() < 0.5 ? BUSY_KEYS : KEYS))}`
  }

  private wrong(what: string): void {
    this.problems.add('wrong value', what)
  }

  private async read(what: string, path: string): Promise<{ readonly value: Value | undefined; readonly askedAt: number }> {
    const { status, json, askedAt } = await this.client.ask(what, path)
    return { value: status === 200 ? (json as Value) : undefined, askedAt }
  }

  private async readScore(key: string): Promise<void> {
    const { value, askedAt } = await this.read('read of a pushed value', `/v1/features/score?user_id=${key}`)
    if (value) this.checkScore(key, value.value, askedAt, value)
  }

  /** @param context More of the answer, for whoever looks for the reason. */
  private checkScore(key: string, value: unknown, askedAt: number, context: unknown): void {
    const before = this.ledger.contradictions.length
    this.ledger.check(key, (value as number | null) ?? undefined, askedAt)
    const isLastResort = askedAt < this.historyAwayUntil && (context as Partial<Value>).served_from === 'last_good'
    if (isLastResort) this.lastResorts += this.ledger.contradictions.length - before
    else
      for (const { answered, expected } of this.ledger.contradictions.slice(before))
        this.wrong(`score of ${key}: ${answered ?? 'nothing'} instead of ${expected}; ${JSON.stringify(context)}`)
  }

  private async readTwice(): Promise<void> {
    const key = this.anyKey()
    const extra = Math.floor(Math.random() * 1_000)
    const { value } = await this.read('realtime TypeScript', `/v1/features/twice?user_id=${key}&extra=${extra}`)
    if (value && value.value !== twice(key, extra)) this.wrong(`twice of ${key} and ${extra}: ${JSON.stringify(value.value)}`)
  }

  private async readThrice(): Promise<void> {
    const key = this.anyKey()
    const { value } = await this.read('realtime Python', `/v1/features/thrice?user_id=${key}`)
    if (value && value.value !== thrice(key)) this.wrong(`thrice of ${key}: ${JSON.stringify(value.value)}`)
  }

  private async readCounted(key: string): Promise<void> {
    const { value, askedAt } = await this.read('read of a refreshed value', `/v1/features/counted?user_id=${key}`)
    if (value && value.value !== null) this.checkCounted(key, value, askedAt)
  }

  private checkCounted(key: string, { value, freshness_ms, status }: Value, askedAt: number): void {
    const found = this.events.check(key, value, askedAt - (freshness_ms ?? Number.POSITIVE_INFINITY))
    if (found !== undefined) this.wrong(`counted, ${status}, ${freshness_ms} ms old: ${found}`)
  }

  private readMany(): Promise<void> {
    return this.readBatch(
      'batch',
      Array.from({ length: BATCH }, () => this.anyKey()),
      NAMES,
    )
  }

  private async readBatch(what: string, keys: readonly string[], features: readonly string[]): Promise<void> {
    const rows = keys.map((key) => ({ user_id: key, ...(features.includes('twice') ? { extra: 5 } : {}) }))
    const { status, json, askedAt } = await this.client.ask(what, '/v1/features', { body: { features, rows } })
    if (status !== 200) return
    const { results } = json as { results: BatchRow[] }
    for (const [i, { values, statuses, served_from, freshness_ms }] of results.entries()) {
      const key = keys[i] as string
      for (const [f, name] of features.entries()) {
        const status = statuses[f] as string
        if (status === 'error') continue
        const value = values[f]
        if (name === 'score')
          this.checkScore(key, value, askedAt, { what, status, served_from: served_from[f], freshness_ms: freshness_ms[f] })
        else if (name === 'counted.n') {
          const counted = { n: value, total: values[f + 1] }
          if (value !== null) this.checkCounted(key, { value: counted, status, freshness_ms: freshness_ms[f] ?? null }, askedAt)
        } else if (name !== 'counted.total' && value !== (name === 'twice' ? twice(key, 5) : thrice(key)))
          this.wrong(`${name} of ${key} among many: ${JSON.stringify(value)}`)
      }
    }
  }

  private async append(key: string): Promise<void> {
    this.events.begin(key)
    const rows = [{ user_id: key, amount: amountOf(key), at: nextTime() }]
    const { status } = await this.client.ask('event', '/v1/sources/events/rows', { body: { rows } })
    this.events.end(key, status)
  }

  private async refresh(): Promise<void> {
    await this.client.ask('refresh', '/v1/features/counted/refresh', { body: { rows: [{ user_id: this.anyKey() }] } })
  }

  /** Pushes for a key of its own, and has it forgotten. */
  private async forget(): Promise<void> {
    const key = `f${this.made++}`
    const rows = [{ user_id: key, value: 1, event_timestamp: nextTime() }]
    const pushed = await this.client.ask('push', '/v1/features/score/values', { body: { rows } })
    if (pushed.status !== 200) return
    const { status } = await this.client.ask('forget', `/v1/entities/User/${key}`, { method: 'DELETE' })
    if (status !== 200) return
    this.gone.push({ key, at: performance.now() })
    this.forgotten++
  }

  private async readForgotten(): Promise<void> {
    const one = this.gone[Math.floor(Math.random() * this.gone.length)]
    if (one !== undefined && performance.now() - one.at > FORGET_AFTER_MS) await this.readGone(one.key)
  }

  private async readGone(key: string): Promise<void> {
    const { value } = await this.read('read of a forgotten key', `/v1/features/score?user_id=${key}`)
    if (value && value.value !== null) this.wrong(`score of ${key}, which was forgotten: ${JSON.stringify(value)}`)
  }

  /** A preview of a training set as of now: what was acknowledged a second ago is in it. */
  private async train(): Promise<void> {
    const keys = Array.from({ length: BATCH }, () => this.anyKey())
    const askedAt = performance.now()
    const now = nextTime()
    const body = { features: ['score', 'counted'], rows: keys.map((key) => ({ user_id: key, event_timestamp: now })) }
    const { status, json } = await this.client.ask('training', '/v1/training-sets?limit=50', { body })
    if (status !== 200) return
    const { columns, preview } = json as { columns: { name: string }[]; preview: { row: number; values: unknown[] }[] }
    const at = (name: string) => columns.findIndex((column) => column.name === name)
    for (const { row: label, values: row } of preview) {
      const key = keys[label] as string
      if (row[at('user_id')] !== key) return this.wrong(`a training set has ${JSON.stringify(row)} instead of ${key}`)
      this.checkScore(key, row[at('score')], askedAt, 'in a training set')
      const value = { n: Number(row[at('counted.n')]), total: Number(row[at('counted.total')]) }
      const found = this.events.check(key, value, askedAt)
      if (found !== undefined) this.wrong(`counted in a training set: ${found}`)
    }
  }
}
