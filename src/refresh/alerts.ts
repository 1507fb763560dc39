/**
 * What is worth waking somebody for: a feature whose refreshes fail, and one whose values in use are older than they may be. Each is told when
 * it begins, now and then while it lasts, and when it is over.
 */

import type { Clock, Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { isRealtime } from '../definition/feature-traits.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { WebhookEvent } from '../observability/webhook-message.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import { hasFailed, type Run } from './runs.ts'

const CHECK_EVERY_MS = 5_000
/** Keys of one feature that are looked at. */
const MAX_KEYS = 1_000
/** Told again while it lasts. */
const REMIND_AFTER: Micros = 600_000_000
/** Checks in a row that have to find a feature stale: at the turn of an interval its keys are late for a moment. */
const STALE_CHECKS = 2

export interface Alerts {
  /** A refresh has ended. */
  ran(run: Run): void
  /** Look once at the ages of all values in use. */
  check(): Promise<void>
  start(): void
  stop(): void
}

export interface AlertsOptions {
  readonly features: () => Iterable<Feature>
  /** So many of them at most. */
  readonly keysInUse: (feature: Feature, count: number) => readonly EntityKey[]
  readonly online: OnlineStore
  /** Whether a value of this event time breaks its feature's promise: it is expired or, where nothing expires, stale. */
  readonly isLate: (feature: Feature, eventAt: Micros) => boolean
  readonly send: (event: WebhookEvent) => void
  readonly clock: Clock
}

interface Alarm {
  since: Micros
  notifiedAt: Micros
}

export function createAlerts(options: AlertsOptions): Alerts {
  const { online, clock, send } = options
  const failing = new Map<string, Alarm>()
  const stale = new Map<string, Alarm>()
  const suspected = new Map<string, number>()
  let timer: Timer | undefined

  /** @returns whether it is to be told now. */
  function alarmDue(alarms: Map<string, Alarm>, feature: string, now: Micros): Alarm | undefined {
    const known = alarms.get(feature)
    if (known && now - known.notifiedAt < REMIND_AFTER) return undefined
    const alarm = { since: known?.since ?? now, notifiedAt: now }
    alarms.set(feature, alarm)
    return alarm
  }

  function ran(run: Run): void {
    const now = clock.now()
    const { feature, keys, failed, error } = run
    if (!hasFailed(run)) {
      const alarm = keys > 0 ? failing.get(feature) : undefined
      if (!alarm) return
      failing.delete(feature)
      send({ type: 'refresh.recovered', feature, at: formatTime(now), since: formatTime(alarm.since) })
      return
    }
    const alarm = alarmDue(failing, feature, now)
    if (alarm) send({ type: 'refresh.failed', feature, at: formatTime(now), since: formatTime(alarm.since), keys, failed, error })
  }

  async function check(): Promise<void> {
    for (const feature of options.features()) {
      if (isRealtime(feature)) continue
      const keys = options.keysInUse(feature, MAX_KEYS)
      const encoded = keys.map((key) => key.encoded)
      const stored = keys.length === 0 ? [] : await online.read(feature.entity, encoded, [fieldOf(feature)])
      const late = stored.flatMap(([value]) => (value && options.isLate(feature, value.eventAt) ? [value.eventAt] : []))
      judge(feature, late, keys.length)
    }
  }

  function judge(feature: Feature, late: readonly Micros[], keys: number): void {
    const now = clock.now()
    const checks = late.length === 0 ? 0 : (suspected.get(feature.name) ?? 0) + 1
    suspected.set(feature.name, checks)
    if (checks === 0) {
      const alarm = stale.get(feature.name)
      if (!alarm) return
      stale.delete(feature.name)
      send({ type: 'feature.fresh', feature: feature.name, at: formatTime(now), since: formatTime(alarm.since) })
      return
    }
    const alarm = checks >= STALE_CHECKS ? alarmDue(stale, feature.name, now) : undefined
    if (!alarm) return
    const oldest = Math.floor((now - Math.min(...late)) / 1000)
    send({
      type: 'feature.stale',
      feature: feature.name,
      at: formatTime(now),
      since: formatTime(alarm.since),
      keys,
      late: late.length,
      oldest_ms: oldest,
    })
  }

  return {
    ran,
    check,
    start() {
      const wake = () => {
        timer = setTimeout(
          () =>
            void check()
              .catch(() => undefined)
              .finally(wake),
          CHECK_EVERY_MS,
        )
        timer.unref()
      }
      wake()
    },
    stop: () => clearTimeout(timer),
  }
}
