import type { Ledger } from './ledger.ts'

export interface Load {
  readonly requests: number
  /** By what was asked and the status. */
  readonly failures: ReadonlyMap<string, number>
  /** Milliseconds of the slowest answer. */
  readonly slowestMs: number
  stop(): Promise<void>
}

const BATCH = 20
const REQUEST_MS = 15_000

/** So many requests a second, whatever becomes of them: reads of one key, reads of twenty, pushes and deletions, to one of the replicas each. */
export function startLoad(urls: readonly string[], ledger: Ledger, options: { readonly keys: number; readonly rate: number }): Load {
  const failures = new Map<string, number>()
  const underWay = new Set<Promise<void>>()
  const startedAt = performance.now()
  const load = { requests: 0, failures, slowestMs: 0, stop }
  let value = 1_000_000
  const anyUrl = () => urls[Math.floor(Math.random() * urls.length)] as string
  // Few are written again and again, and read as often.
  const anyKey = () => `k${Math.floor(Math.random() * (Math.random() < 0.5 ? 50 : options.keys))}`
  const failed = (what: string, status: number) => failures.set(`${what} ${status}`, (failures.get(`${what} ${status}`) ?? 0) + 1)

  async function ask(path: string, body?: object): Promise<{ status: number; json: unknown }> {
    const sentAt = performance.now()
    try {
      const init = body ? { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}
      const response = await fetch(`${anyUrl()}${path}`, { ...init, signal: AbortSignal.timeout(REQUEST_MS) })
      return { status: response.status, json: await response.json() }
    } catch {
      return { status: 0, json: null }
    } finally {
      load.slowestMs = Math.max(load.slowestMs, performance.now() - sentAt)
    }
  }

  async function readOne(): Promise<void> {
    const key = anyKey()
    const askedAt = performance.now()
    const { status, json } = await ask(`/v1/features/score?user_id=${key}`)
    if (status === 200) ledger.check(key, (json as { value: number | null }).value ?? undefined, askedAt)
    else failed('read', status)
  }

  async function readMany(): Promise<void> {
    const keys = Array.from({ length: BATCH }, anyKey)
    const askedAt = performance.now()
    const { status, json } = await ask('/v1/features', { features: ['score'], rows: keys.map((key) => ({ user_id: key })) })
    if (status !== 200) return void failed('batch', status)
    const { results } = json as { results: { values: (number | null)[]; statuses: string[] }[] }
    for (const [i, { values, statuses }] of results.entries()) {
      if (statuses[0] === 'error') failed('row of a batch', 503)
      else ledger.check(keys[i] as string, values[0] ?? undefined, askedAt)
    }
  }

  async function push(): Promise<void> {
    const key = anyKey()
    const isDeletion = Math.random() < 0.1
    const write = ledger.begin(key, isDeletion ? undefined : ++value)
    const what = isDeletion ? { delete: true } : { value: write.value }
    const { status } = await ask('/v1/features/score/values', { rows: [{ user_id: key, ...what, event_timestamp: nextTime() }] })
    ledger.end(write, status)
    if (status !== 200) failed('push', status)
  }

  const one = () => {
    const kind = Math.random()
    return kind < 0.6 ? readOne() : kind < 0.8 ? readMany() : push()
  }
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1000) * options.rate
    while (load.requests < due) {
      load.requests++
      const asked = one().finally(() => underWay.delete(asked))
      underWay.add(asked)
    }
  }, 5)

  async function stop(): Promise<void> {
    clearInterval(timer)
    await Promise.all(underWay)
  }
  return load
}

let lastTime = 0

/** Event times rise with every push, by a microsecond at least. */
export function nextTime(): string {
  lastTime = Math.max(lastTime + 1, Math.round((performance.timeOrigin + performance.now()) * 1000))
  const seconds = new Date(Math.floor(lastTime / 1_000_000) * 1000).toISOString().slice(0, 19)
  return `${seconds}.${String(lastTime % 1_000_000).padStart(6, '0')}Z`
}
