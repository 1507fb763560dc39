/**
 * What a process brings back from history when it starts: a short history before anybody is answered, a long one behind it. Meanwhile reads ask
 * history for the keys they need (recalled-store.ts; of a shared store serving/unsure.ts), so that they are right from the first one on.
 */
import type { Registry } from '../definition/model.ts'
import { isUnavailable } from '../errors.ts'
import type { LiveDefinitionsDependencies } from './live-definitions.ts'
import { doubtUntilRewarmed, rewarm } from './online-recovery.ts'

/** Rows of history that are brought back before the port opens: that takes no longer than a few statements. */
const SHORT_HISTORY = 5_000
/** How long a server may say that it is not ready because values come back: it answers all the same, and others may not. */
const LONGEST_MS = 60_000
const RETRY_MS = 2_000

export interface RecoveryProgress {
  /** Keys of features that are there again. */
  readonly rows: number
  /** About so many come; null: it is not known. */
  readonly of: number | null
}

export interface StartRecovery {
  /** @param registry Of the definitions that are served first. Resolves when reads are right. */
  begin(registry: Registry): Promise<void>
  /** Resolves when everything is there, or where the process ends. */
  run(): Promise<void>
  /** Null: nothing is on its way. */
  progress(): RecoveryProgress | null
  /** False while values come back, a minute at most. */
  isOver(): boolean
  /** Brings no more. */
  stop(): Promise<void>
}

/** @param shortHistory Given by tests only. */
export function createStartRecovery(dependencies: LiveDefinitionsDependencies, shortHistory = SHORT_HISTORY): StartRecovery {
  const { offline, log } = dependencies
  const ended = Promise.withResolvers<void>()
  let left: Registry | undefined
  let running: Promise<void> | undefined
  let isStopped = false
  let isLate = false
  let rows = 0
  let of: number | null = null

  const watch = {
    expect(keys: number) {
      of = (of ?? 0) + keys
    },
    brought(keys: number) {
      rows += keys
    },
    isOver: () => isStopped,
  }

  /** In memory nothing is whole until everything is there; what a shared store lacks is looked after in any case. */
  async function bring(registry: Registry): Promise<void> {
    for (;;) {
      rows = 0
      of = null
      try {
        return await rewarm(dependencies, registry, undefined, watch)
      } catch (error) {
        if (isStopped) return
        log.warn('values could not be brought back from history; trying again', { error })
        if (dependencies.online.isShared && !isUnavailable(error)) return
      }
      await Promise.race([Bun.sleep(RETRY_MS), ended.promise])
    }
  }

  async function runOnce(registry: Registry): Promise<void> {
    const startedAt = performance.now()
    log.info('values come back from history; until they are there, reads ask history for them')
    const timer = setTimeout(() => {
      isLate = true
    }, LONGEST_MS)
    timer.unref()
    await bring(registry)
    clearTimeout(timer)
    left = undefined
    if (!isStopped) log.info('values came back from history', { rows, ms: Math.round(performance.now() - startedAt) })
  }

  return {
    async begin(registry) {
      if (!(await offline.isLongerThan(shortHistory))) return rewarm(dependencies, registry, undefined)
      await doubtUntilRewarmed(dependencies, registry)
      left = registry
    },
    run() {
      running ??= left ? runOnce(left) : Promise.resolve()
      return running
    },
    progress: () => (left ? { rows, of: of === null ? null : Math.max(of, rows) } : null),
    isOver: () => left === undefined || isLate,
    async stop() {
      isStopped = true
      ended.resolve()
      await running
    },
  }
}
