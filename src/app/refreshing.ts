/** Refreshes, on schedule and on request, and those who are told when they fail. */
import type { Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { WebhookEvent } from '../observability/webhook-message.ts'
import { type Alerts, createAlerts } from '../refresh/alerts.ts'
import { createLeaseKeeper, type LeaseKeeper } from '../refresh/lease-keeper.ts'
import { type KeptRuns, type Run, unlistedRun } from '../refresh/runs.ts'
import { createScheduler, type Scheduler } from '../refresh/scheduler.ts'
import { judge } from '../serving/freshness.ts'
import type { Serving } from '../serving/serving.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { CurrentDefinitions } from './current-definitions.ts'
import type { KeysInUse } from './keys-in-use.ts'
import type { LiveDefinitions, LiveDefinitionsDependencies } from './live-definitions.ts'

export interface Refreshing {
  /** Computes keys again now: those given, or all in use. @throws FabraError not_refreshable */
  refresh(feature: Feature, keys: List<EntityKey> | null): Promise<Run>
  /** @param schedule Whether features are refreshed here, and not by other processes alone. */
  start(schedule: boolean): void
  /** No new runs; waits for those under way. */
  stop(): Promise<void>
  /** Lets others refresh what this process did. */
  close(): Promise<void>
}

export interface RefreshingOptions {
  readonly definitions: CurrentDefinitions
  readonly keysInUse: KeysInUse
  readonly kept: KeptRuns
  readonly leases: LeaseStore
  /** Told of failing refreshes and values that are too old. */
  readonly notify: ((event: WebhookEvent) => void) | undefined
}

type RunArguments = Parameters<LiveDefinitions['refresher']['run']>

export function createRefreshing(dependencies: LiveDefinitionsDependencies, options: RefreshingOptions): Refreshing {
  const { log } = dependencies
  const { definitions, keysInUse, kept, notify } = options
  const leases = createLeaseKeeper({ leases: options.leases, nowMs: () => performance.now(), log })
  const alerts = notify && openAlerts(dependencies, options, notify)
  const run = async (...args: RunArguments): Promise<Run> => {
    const ended = await definitions.live().refresher.run(...args)
    alerts?.ran(ended)
    return ended
  }
  const scheduler = openScheduler(dependencies, options, { run, leases, alerts })
  return {
    async refresh(feature, keys) {
      refuseRefresh(feature)
      const listed = keys ? { keys, skipped: undefined } : await definitions.live().listKeys(feature.entity)
      const due = listed?.keys ?? (await keysInUse.of(feature))
      return kept.keep(await run(feature, due, { reason: 'request', before: null, skipped: listed?.skipped }))
    },
    start(schedule) {
      if (schedule) scheduler.start()
      alerts?.start()
    },
    stop() {
      alerts?.stop()
      return scheduler.stop()
    },
    close: () => leases.close(),
  }
}

interface SchedulerNeeds {
  readonly run: (...args: RunArguments) => Promise<Run>
  readonly leases: LeaseKeeper
  readonly alerts: Alerts | undefined
}

function openScheduler(
  { activeKeys, schedule, runs, clock, log }: LiveDefinitionsDependencies,
  { definitions, keysInUse }: RefreshingOptions,
  { run, leases, alerts }: SchedulerNeeds,
): Scheduler {
  return createScheduler({
    features: () => definitions.registry().features.values(),
    refresh: (feature, keys, before, skipped) => run(feature, keys, { reason: 'schedule', before, skipped }),
    activeKeys,
    mayRefresh: (feature) => leases.hold(`refresh:${fieldOf(feature)}`),
    pull: async (feature) => keysInUse.pull(feature),
    listedKeys: (entity) => definitions.live().listKeys(entity),
    onUnlisted(feature, error) {
      const unlisted = unlistedRun(runs, feature, error, clock.now())
      alerts?.ran(unlisted)
    },
    schedule,
    clock,
    log,
  })
}

function openAlerts(
  { online, clock }: LiveDefinitionsDependencies,
  { definitions, keysInUse }: RefreshingOptions,
  send: (event: WebhookEvent) => void,
): Alerts {
  return createAlerts({
    features: () => definitions.registry().features.values(),
    keysInUse: keysInUse.some,
    online,
    isLate: (feature, eventAt) => isLate(definitions.live().serving, feature, eventAt, clock.now()),
    send,
    clock,
  })
}

/** Expired or, where nothing expires, stale. */
function isLate({ planned }: Serving, feature: Feature, eventAt: Micros, now: Micros): boolean {
  const rule = planned.get(feature.name)?.rule
  return rule !== undefined && judge(rule, eventAt, now, null) === (rule.maxStaleness === null ? 'stale' : 'expired')
}

function refuseRefresh(feature: Feature): void {
  const refuse = (why: string, hint: string) =>
    new FabraError('not_refreshable', `"${feature.name}" cannot be refreshed: ${why}.`, { hint })
  if (feature.refresh === null) throw refuse('its values are pushed', 'Push a value instead.')
  if (feature.refresh.kind === 'realtime') throw refuse('it is computed in every request', 'Just read it.')
  if (Object.keys(feature.inputs).length > 0) throw refuse('it needs inputs that only a request has', 'Just read it.')
}
