/** A worker that was given more than it can do in time, in played time: its gates are real, what it does behind them is said here. */
import { expect, test } from 'bun:test'
import { createBacklog } from '../../src/runtime/backlog.ts'
import { createCallsInFlight } from '../../src/runtime/calls-in-flight.ts'
import { enter } from '../../src/runtime/gates.ts'
import { type GuestWorker, type InFlightCall, newState, sentBy } from '../../src/runtime/guest-worker.ts'
import { createSentCalls } from '../../src/runtime/sent-calls.ts'

const TIMEOUT_MS = 1_000
const LOOK_MS = 10

interface Ended {
  readonly how: string
  readonly at: number
}

interface Played {
  /** How many calls come at that time. */
  readonly come: (at: number) => number
  /** How long one takes that begins then. */
  readonly takesMs: (at: number) => number
  readonly forMs: number
  /** How late the host hears of answers. */
  readonly lateMs?: number
}

/** One call at a time, in the order in which they came. */
function play({ come, takesMs, forMs, lateMs = 0 }: Played): readonly Ended[] {
  const ended: Ended[] = []
  let now = 0
  const calls = createCallsInFlight((_id, { error }) => ended.push({ how: error?.code ?? 'answered', at: now }))
  const backlog = createBacklog(calls)
  const sent = createSentCalls()
  const received: { readonly id: number; readonly slot: number }[] = []
  const worker: GuestWorker = {
    ...newState({ pingAfterMs: 0, stalledAfterMs: 0, suspectAfterMs: 0, hedgeAfterMs: 0, blamesUnknown: false, afterCrash: 'all' }),
    ...sentBy(sent, () => worker),
    ...{ loaded: Promise.withResolvers<never>().promise, ended: Promise.resolve(), terminate: async () => true, runningId: () => 0 },
    send: (frame) => {
      if (frame.t === 'call') received.push({ id: frame.id, slot: frame.slot })
    },
  }
  let lastId = 0
  let running: { readonly id: number; readonly endsAt: number } | undefined
  for (; now < forMs; now++) {
    for (let count = come(now); count > 0; count--) {
      const frame = { t: 'call', id: ++lastId, feature: 'f', key: ['u1'], inputs: null, asOf: 0, mode: 'present' } as const
      const call: InFlightCall = {
        ...{ frame, deadlineAt: now + TIMEOUT_MS, askedAt: now, waitedUntil: now, fingerprint: '', signal: new AbortController().signal },
        ...{ runs: 1, workers: new Set([worker]) },
      }
      calls.add(call)
      worker.inFlight.set(frame.id, call)
      worker.give(call)
    }
    if (running !== undefined && now >= running.endsAt) {
      const call = calls.get(running.id)
      worker.lastSeenAt = now
      if (call !== undefined) backlog.answered(worker)
      if (call !== undefined) calls.finish(call, { texts: ['1'] }, worker)
      running = undefined
    }
    for (let next = running ? undefined : received.shift(); next !== undefined; next = running ? undefined : received.shift())
      if (enter(sent.gates, next.slot)) running = { id: next.id, endsAt: now + takesMs(now) }
    if (now % LOOK_MS === 0) {
      backlog.lookAt(worker, now, lateMs)
      for (const call of calls.all())
        if (now >= call.deadlineAt) calls.fail(call, { code: backlog.isCrowdedOut(call) ? 'overloaded' : 'feature_timeout', message: '' })
    }
  }
  return ended
}

const of = (ended: readonly Ended[], how: string) => ended.filter((one) => one.how === how)

test('calls whose turn would come too late are turned away long before, and those before them are answered', () => {
  const rush = play({ come: (at) => (at === 0 ? 200 : 0), takesMs: () => 10, forMs: 2_000 })
  expect(of(rush, 'feature_timeout')).toEqual([])
  const refused = of(rush, 'overloaded')
  expect(Math.max(...refused.slice(0, refused.length - 5).map(({ at }) => at))).toBeLessThan(250)
  expect(of(rush, 'answered').length).toBeGreaterThan(80)
  // Twice as many as can be done, on and on: all that it can do is done, and nothing in vain.
  const flood = play({ come: (at) => (at % 5 === 0 && at < 5_000 ? 1 : 0), takesMs: () => 10, forMs: 7_000 })
  expect(of(flood, 'feature_timeout')).toEqual([])
  expect(of(flood, 'answered').length).toBeGreaterThan(450)
})

test('of a call whose time is over it is said who took it, though it has begun by then', () => {
  // The third begins when most of its time is gone, and the fourth does not: too few were answered to know of it before.
  const crowd = play({ come: (at) => (at === 0 ? 4 : 0), takesMs: () => 400, forMs: 2_000 })
  expect(crowd.map(({ how, at }) => [how, at])).toEqual([
    ['answered', 400],
    ['answered', 800],
    ['overloaded', 1_000],
    ['overloaded', 1_000],
  ])
  // Most of its time was its own.
  const slow = play({ come: (at) => (at === 0 ? 2 : 0), takesMs: (at) => (at === 0 ? 400 : 1e9), forMs: 2_000 })
  expect(slow.map(({ how }) => how)).toEqual(['answered', 'feature_timeout'])
})

test('time is left for answers that are heard of late', () => {
  const latest = (lateMs: number) =>
    Math.max(...of(play({ come: (at) => (at === 0 ? 200 : 0), takesMs: () => 10, forMs: 2_000, lateMs }), 'answered').map(({ at }) => at))
  expect(latest(0)).toBeLessThanOrEqual(TIMEOUT_MS * 0.95)
  expect(latest(60)).toBeLessThanOrEqual(latest(0) - 50)
  // However late it is: a host that is held up for long does not turn everybody away.
  expect(latest(10_000)).toBeGreaterThan(TIMEOUT_MS * 0.7)
})

test('nobody is turned away by a worker that makes up for a pause, or whose pace is not known', () => {
  const paused = play({
    come: (at) => (at < 4_000 && at % 20 === 0 ? 1 : 0),
    takesMs: (at) => (at > 1_000 && at < 1_010 ? 400 : 8),
    forMs: 6_000,
  })
  expect(of(paused, 'answered')).toHaveLength(200)
  // As seldom as it was asked before says nothing of what it can do.
  const seldom = play({ come: (at) => (at > 3_000 ? 0 : at === 3_000 ? 150 : at % 200 === 0 ? 1 : 0), takesMs: () => 5, forMs: 6_000 })
  expect(of(seldom, 'answered')).toHaveLength(165)
  // Nothing comes of the first ones: that it does not answer is what their callers are told.
  const hung = play({ come: (at) => (at === 0 ? 50 : 0), takesMs: () => 1e9, forMs: 2_000 })
  expect(of(hung, 'feature_timeout')).toHaveLength(50)
})
