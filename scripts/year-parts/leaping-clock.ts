/**
 * A clock that leaps, in a process of its own: the timers that wait for the time of day (of the schedule and of what is swept) follow it. All others,
 * of leases and deadlines, stay with the machine.
 */
import { type Micros, type SteeredClock, systemClock } from '../../src/clock.ts'

/** Who waits for the time of day. */
const SCHEDULER = 'src/refresh/scheduler.ts'
const SWEEPER = 'src/app/sweeper.ts'
const FOLLOWERS = [SCHEDULER, SWEEPER] as const
/** Shorter waits are nobody's of them. */
const SHORTEST_MS = 250

interface Waiting {
  readonly follower: string
  readonly dueAt: Micros
  readonly work: () => void
}

export interface LeapingClock extends SteeredClock {
  /** Everything that was due meanwhile begins, once what the leap before began to sweep is swept. Waits until the schedule has a timer to leap over. */
  leap(by: Micros): Promise<void>
  /** All is swept that was begun. */
  swept(): Promise<void>
}

/** @param offset Of the present, to begin with. */
export function leapingClock(offset: Micros): LeapingClock {
  const real = systemClock()
  let ahead = offset
  const now = () => real.now() + ahead
  const waiting = follow(now)
  const countOf = (follower: string) => [...waiting].filter((one) => one.follower === follower).length
  /** Each waits but while it works. */
  let sweepers = 0
  const swept = async () => {
    sweepers = Math.max(sweepers, countOf(SWEEPER))
    while (countOf(SWEEPER) < sweepers) await Bun.sleep(20)
  }
  return {
    swept,
    now,
    machine: real.machine,
    steer: real.steer,
    async leap(by) {
      while (countOf(SCHEDULER) === 0) await Bun.sleep(5)
      await swept()
      ahead += by
      const due = [...waiting].filter(({ dueAt }) => dueAt <= now()).sort((a, b) => a.dueAt - b.dueAt)
      for (const one of due) if (waiting.delete(one)) one.work()
    },
  }
}

/** Takes the place of setTimeout, for those who follow. */
function follow(now: () => Micros): Set<Waiting> {
  const waiting = new Set<Waiting>()
  const handles = new WeakMap<object, Waiting>()
  const { setTimeout: later, clearTimeout: clear } = globalThis
  const laterOrAtLeap = (work: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    const follower = ms < SHORTEST_MS ? undefined : callerAmong(FOLLOWERS)
    if (follower === undefined) return later(work, ms, ...args)
    const one = { follower, dueAt: now() + ms * 1_000, work: () => work(...args) }
    waiting.add(one)
    // Without a leap it comes when it would have come.
    const handle = later(() => waiting.delete(one) && one.work(), ms)
    handles.set(handle, one)
    return handle
  }
  globalThis.setTimeout = Object.assign(laterOrAtLeap, { __promisify__: later.__promisify__ }) as typeof setTimeout
  globalThis.clearTimeout = ((handle?: Timer) => {
    const one = typeof handle === 'object' ? handles.get(handle) : undefined
    if (one !== undefined) waiting.delete(one)
    clear(handle)
  }) as typeof clearTimeout
  return waiting
}

/** Of whoever calls setTimeout. */
function callerAmong(files: readonly string[]): string | undefined {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 3
  const line = new Error().stack?.split('\n')[3]
  Error.stackTraceLimit = stackTraceLimit
  return files.find((file) => line?.includes(file))
}
