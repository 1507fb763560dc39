/**
 * What processes tell one another of their reads, so that whoever looks at one of them sees all: every few seconds the minute under way, and every minute
 * that is over. Off the path of requests, and a hint: while the store cannot be reached, each shows its own.
 */

import { type FiguresRecord, readRecord, recordOfMinute, recordOfNow, writeRecord } from '../observability/figures-record.ts'
import type { Logger } from '../observability/logger.ts'
import type { FeatureShape, ReadStatistics } from '../observability/read-statistics.ts'
import { createReadsTogether, minuteOf, type ReadsTogether } from '../observability/reads-together.ts'
import type { FigureStore } from '../store/ports/figure-store.ts'

const TELL_EVERY_MS = 5_000
/** Who looks twice in this time is shown the same. */
const FRESH_MS = 1_000
/** After its end all have told of a minute. */
const SETTLED_MS = 15_000
const HOUR = 60

export interface SharedFigures {
  readonly reads: ReadsTogether
  /** Learns what the others tell. Never rejects. */
  freshen(): Promise<void>
  /** Tells now; done by itself every five seconds, and what others tell is learnt after it. Never rejects. */
  tell(): Promise<void>
  /** The same though somebody looked just now. Never rejects. */
  pullNow(): Promise<void>
  start(): void
  stop(): Promise<void>
}

export interface SharedFiguresOptions {
  readonly statistics: ReadStatistics
  readonly store: FigureStore
  readonly shapeOf: (feature: string) => FeatureShape | undefined
  readonly nowMs: () => number
  readonly log: Logger
}

export function createSharedFigures({ statistics, store, shapeOf, nowMs, log }: SharedFiguresOptions): SharedFigures {
  let toldUpTo = minuteOf(nowMs()) - 1
  let nextMinute = minuteOf(nowMs()) - HOUR
  const reads = createReadsTogether(statistics, shapeOf, nextMinute)
  let timer: Timer | undefined
  let running: Promise<void> | undefined
  let learning = Promise.resolve()
  let learntAt = Number.NEGATIVE_INFINITY

  async function tell(): Promise<void> {
    const now = nowMs()
    const record = writeRecord(await recordOfNow(statistics, now))
    const over = minuteOf(now) - 1
    const minute = over > toldUpTo ? { number: over, text: writeRecord(await recordOfMinute(statistics, over)) } : null
    await store.tell(record, minute)
    toldUpTo = Math.max(toldUpTo, over)
  }

  async function pull(): Promise<void> {
    const others = await store.others()
    const now = nowMs()
    const settled = minuteOf(now - SETTLED_MS) - 1
    const wanted = Array.from({ length: Math.max(0, minuteOf(now) - nextMinute) }, (_, i) => nextMinute + i).slice(-HOUR)
    const recordsOfOthers = await Promise.all(others.map(async ({ id }) => (await store.minutes(id, wanted)).map(recordOf)))
    for (const [i, minute] of wanted.entries()) {
      if (minute > settled) break
      const records = recordsOfOthers.flatMap((one) => one[i] ?? [])
      reads.closeMinute(minute, records)
    }
    nextMinute = Math.max(nextMinute, settled + 1)
    const open = recordsOfOthers.map((one) => one.flatMap((record) => (record && record.minute > settled ? record : [])))
    const live = others.map(({ now: text }) => recordOf(text))
    reads.setOpen(
      open.flatMap((minutes, i) => [...minutes, ...(live[i] ? [beside(live[i], minutes)] : [])]),
      live.filter((one) => one !== undefined).length,
    )
  }

  /** One after the other, since each goes on where the last one ended. */
  const learnNext = (): Promise<void> => {
    learntAt = performance.now()
    learning = learning.then(pull).catch((error) => {
      // What they told is not what they do now.
      reads.setOpen([], 0)
      log.debug('figures of other processes could not be read', { error })
    })
    return learning
  }
  const freshen = () => (performance.now() - learntAt < FRESH_MS ? learning : learnNext())
  const tellNow = () => tell().catch((error) => log.debug('figures could not be told to other processes', { error }))
  return {
    reads,
    freshen,
    tell: tellNow,
    pullNow: learnNext,
    start() {
      const begin = () => {
        running ??= tellNow()
          .then(freshen)
          .finally(() => {
            running = undefined
          })
      }
      timer = setInterval(begin, TELL_EVERY_MS)
      timer.unref()
      begin()
    },
    async stop() {
      clearInterval(timer)
      await running
      await store.leave().catch(() => undefined)
    },
  }
}

/** Told of as a minute that is over, it is not counted again. */
function beside(now: FiguresRecord, over: readonly FiguresRecord[]): FiguresRecord {
  return over.some(({ minute }) => minute === now.minute) ? { ...now, minute: -1 } : now
}

function recordOf(text: string | null): FiguresRecord | undefined {
  return text === null ? undefined : readRecord(text)
}
