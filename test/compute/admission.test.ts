/** A feature under more questions than it can answer, in played time: its calls are put through a model of what answers them. */
import { describe, expect, test } from 'bun:test'
import type { Computed } from '../../src/compute/executor.ts'
import { Admission } from '../../src/compute/single-flight/admission.ts'
import { timedOut } from '../../src/compute/single-flight/in-flight.ts'

const TIMEOUT_MS = 1_000
const VALUE: Computed = { kind: 'value', texts: ['1'], oldestInputAt: null }

interface Source {
  /** How many calls run at once. */
  readonly atOnce: number
  /** Of one call. */
  readonly ms: (at: number) => number
}

interface Ended {
  readonly askedAt: number
  readonly tookMs: number
  readonly how: 'served' | 'refused' | 'late'
}

/** Calls wait in the order in which they came; one that has begun is done to its end, though nobody may wait for it any more. */
function play(source: Source, perSecond: (at: number) => number, forMs: number): Ended[] {
  const admission = new Admission(0)
  let seed = 1
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed / 2 ** 31
  }
  const ended: Ended[] = []
  const waiting: number[] = []
  const running: { readonly askedAt: number; readonly endsAt: number }[] = []
  const lateAt = new Set<number>()
  const settle = (askedAt: number, now: number, how: 'served' | 'late') => {
    ended.push({ askedAt, tookMs: now - askedAt, how })
    const computed: Computed = how === 'served' ? VALUE : { kind: 'error', error: LATE }
    admission.settled({ begunAt: askedAt, timeoutMs: TIMEOUT_MS }, computed, waiting.length + running.length, now)
  }
  const step = 0.25
  for (let now = 0, due = 0; now < forMs + 2 * TIMEOUT_MS; now += step) {
    for (let i = 0; i < running.length; i++) {
      const { askedAt, endsAt } = running[i] as (typeof running)[number]
      if (now < endsAt) {
        if (now - askedAt < TIMEOUT_MS || lateAt.has(askedAt)) continue
        lateAt.add(askedAt)
        settle(askedAt, now, 'late')
        continue
      }
      running.splice(i--, 1)
      if (!lateAt.delete(askedAt)) settle(askedAt, now, 'served')
    }
    while (waiting.length > 0 && now - (waiting[0] as number) >= TIMEOUT_MS) settle(waiting.shift() as number, now, 'late')
    while (waiting.length > 0 && running.length < source.atOnce) {
      running.push({ askedAt: waiting.shift() as number, endsAt: now + source.ms(now) * (0.8 + 0.4 * random()) })
    }
    if (now >= forMs) continue
    for (due += (perSecond(now) * step) / 1000; due >= 1; due--) {
      // No two of the same moment: it is what tells them apart.
      const askedAt = now + random() * step
      const ahead = waiting.length + running.length - lateAt.size
      if (admission.admits(ahead, { chain: [], timeoutMs: TIMEOUT_MS })) waiting.push(askedAt)
      else ended.push({ askedAt, tookMs: 0, how: 'refused' })
    }
  }
  return ended
}

const times = (count: number, of: number) => Array.from({ length: count }, () => of)
const LATE = timedOut({ name: 'f' } as Parameters<typeof timedOut>[0], TIMEOUT_MS)
const shareOf = (ended: readonly Ended[], how: Ended['how']) => ended.filter((one) => one.how === how).length / ended.length
const between = (ended: readonly Ended[], from: number, to: number) => ended.filter(({ askedAt }) => askedAt >= from && askedAt < to)

describe('three times as many questions as can be answered', () => {
  test.each([
    ['a quick function of one thread', 1, 1],
    ['a function of two threads', 2, 10],
    ['a slow function of two threads', 2, 100],
    ['a function that waits, of 256 places', 256, 200],
  ])('%s: most of what can be is served, in time, and all is as before within two seconds', (_what, atOnce, ms) => {
    const peak = (atOnce * 1000) / ms
    const ended = play({ atOnce, ms: () => ms }, (at) => (at >= 2_000 && at < 12_000 ? 3 * peak : peak / 2), 20_000)
    expect(shareOf(between(ended, 0, 2_000), 'served')).toBe(1)
    const settled = between(ended, 2_000, 12_000)
    const served = settled.filter(({ how }) => how === 'served')
    expect(served.length).toBeGreaterThan(0.7 * 10 * peak)
    expect(shareOf(settled, 'late')).toBeLessThan(0.02)
    const sorted = served.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
    expect(sorted[Math.floor(sorted.length * 0.99)]).toBeLessThan(TIMEOUT_MS)
    expect(shareOf(between(ended, 14_000, 20_000), 'served')).toBe(1)
  })
})

test('questions that are answered in time are never refused, however slow the function, and however many come at once', () => {
  const slow = play({ atOnce: 100_000, ms: () => 700 }, () => 50, 10_000)
  expect(shareOf(slow, 'served')).toBe(1)
  const rush = play({ atOnce: 100_000, ms: () => 200 }, (at) => (at < 5_000 ? 2 : 2_000), 8_000)
  expect(shareOf(rush, 'served')).toBe(1)
})

test('of a function that never answered all are told that it does not answer; one that answers again is asked again', () => {
  const never = play({ atOnce: 100_000, ms: () => 1e9 }, () => 50, 5_000)
  expect(shareOf(never, 'late')).toBe(1)
  // A process that is busy is late with its timers, too: later than twice the shortest wait.
  const admission = new Admission(0)
  const late: Computed = { kind: 'error', error: LATE }
  for (const [now, tookMs] of [...times(20, 200), ...times(20, 900)].map((tookMs, i) => [(i + 1) * 100, tookMs] as const))
    admission.settled({ begunAt: now - tookMs, timeoutMs: 200 }, late, 300, now)
  expect(admission.admits(1_000, { chain: [], timeoutMs: 200 })).toBe(true)
  const hung = play({ atOnce: 1_000, ms: (at) => (at > 3_000 && at < 8_000 ? 9_000 - at : 10) }, () => 50, 15_000)
  expect(shareOf(between(hung, 0, 2_000), 'served')).toBe(1)
  expect(shareOf(between(hung, 10_500, 15_000), 'served')).toBe(1)
})

test('a few questions are taken after a pause in which nothing was answered, too', () => {
  // Six a second, and for three seconds everything stands still.
  const paused = play({ atOnce: 4, ms: (at) => (at > 5_000 && at < 8_000 ? 8_000 - at : 100) }, () => 6, 12_000)
  expect(paused.filter(({ how }) => how === 'refused')).toEqual([])
})

test('what a running function asks for is always taken', () => {
  const admission = new Admission(0)
  for (let now = 1; now < 400; now += 10) admission.settled({ begunAt: now - 1, timeoutMs: TIMEOUT_MS }, VALUE, 100, now)
  for (let now = 400; now < 1_000; now += 10) admission.settled({ begunAt: now - 900, timeoutMs: TIMEOUT_MS }, VALUE, 100, now)
  expect(admission.admits(1_000, { chain: [], timeoutMs: TIMEOUT_MS })).toBe(false)
  expect(admission.admits(1_000, { chain: ['f'], timeoutMs: TIMEOUT_MS })).toBe(true)
  expect(admission.admits(100_000, { chain: ['f'], timeoutMs: TIMEOUT_MS })).toBe(false)
})
