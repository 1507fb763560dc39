import { formatTime } from '../../definition/time.ts'
import type { EventFeed } from '../../observability/event-feed.ts'
import type { HttpOptions } from '../options.ts'
import type { State, StateEvent } from '../wire.ts'
import { healthOfAll } from './feature-health.ts'

const LOOK_MS = 2_000

/** Looks at the states of features as long as somebody wants to know when they change. */
export interface StateWatch {
  /** @returns lets go. */
  hold(): () => void
}

const watches = new WeakMap<EventFeed, StateWatch>()

/** One for each feed, made for those who may see all; clients are told what they may see of it. */
export function stateWatchOf(options: Pick<HttpOptions, 'serving' | 'insight' | 'clock'>): StateWatch {
  const known = watches.get(options.insight.feed)
  if (known) return known
  const made = createStateWatch(options)
  watches.set(options.insight.feed, made)
  return made
}

function createStateWatch({ serving, insight, clock }: Pick<HttpOptions, 'serving' | 'insight' | 'clock'>): StateWatch {
  let holders = 0
  let timer: Timer | undefined
  let known = new Map<string, State>()
  const look = () => {
    const now = formatTime(clock.now())
    const health = healthOfAll({ serving, insight, clock, tellsText: false })
    for (const { feature, state, reasons } of health) {
      const before = known.get(feature.name)
      if (before === undefined || before === state) continue
      const event: StateEvent = { at: now, feature: feature.name, state, before, reason: reasons[0] ?? null }
      insight.feed.add('state', event)
    }
    known = new Map(health.map(({ feature, state }) => [feature.name, state]))
  }
  return {
    hold() {
      if (holders++ === 0) {
        known = new Map()
        look()
        timer = setInterval(look, LOOK_MS)
        timer.unref()
      }
      let isHeld = true
      return () => {
        if (!isHeld) return
        isHeld = false
        if (--holders === 0) clearInterval(timer)
      }
    },
  }
}
