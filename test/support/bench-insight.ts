import type { Clock } from '../../src/clock.ts'
import { formatTime } from '../../src/definition/time.ts'
import type { Insight } from '../../src/http/insight/insight.ts'
import { EventFeed } from '../../src/observability/event-feed.ts'
import { ReadStatistics } from '../../src/observability/read-statistics.ts'
import { RequestSamples } from '../../src/observability/request-samples.ts'
import { createRunFigures } from '../../src/refresh/run-figures.ts'
import { ReadObserver } from '../../src/serving/read-observer.ts'

/** What a server over a bench knows of itself: real figures of reads; no changes, sources or stores. */
export function benchInsight(clock: Clock): Insight {
  const statistics = new ReadStatistics(() => clock.now() / 1_000)
  const [feed, samples] = [new EventFeed('bench'), new RequestSamples()]
  return {
    observer: new ReadObserver({ statistics, feed, samples, clock }),
    statistics,
    covered: () => 1,
    samples,
    feed,
    facts: { mode: 'laptop', project: 'bench', folder: '/nowhere', startedAt: clock.now(), processes: 1 },
    runs: createRunFigures(),
    changes: {
      knownSince: clock.now(),
      list: async () => [],
      versionsOf: () => [],
      lastPushAt: () => null,
      usualPushMs: () => null,
    },
    freshen: async () => undefined,
    nextDueAt: () => null,
    keysInUse: () => 0,
    sourcesOf: () => [],
    sourceFacts: async () => new Map(),
    rowsOfKey: async () => [],
    trainingSets: () => [],
    stores: async () => [],
    storage: async () => ({ now: formatTime(clock.now()), stores: [], tables: [], features: [], savings: [], is_estimate: false }),
  }
}
