/** Work that one process at a time does every now and then, in small lots with pauses between them: whoever serves and writes meanwhile comes first. */
import type { Logger } from '../observability/logger.ts'
import { createLeaseKeeper } from '../refresh/lease-keeper.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'

const FIRST_AFTER_MS = 60_000
const EVERY_MS = 3_600_000
/** After each lot as long as it took, and this much. */
const PAUSE_MS = 20

export type Lots = (lot: () => Promise<boolean>) => Promise<void>

export interface SweeperOptions {
  /** Its own: who refreshes a feature need not be who sweeps. */
  readonly lease: string
  readonly leases: LeaseStore
  readonly log: Logger
  /** @param lots Runs a lot again and again, until it says that it was the last, another process has taken over, or the end has come. @param signal Tells a long lot of the end. */
  readonly work: (lots: Lots, signal: AbortSignal) => Promise<number>
}

export interface Sweeper {
  start(): void
  /** Works now. @returns how much went. */
  sweep(): Promise<number>
  /** No more lots; waits for the one under way, and lets others go on. */
  close(): Promise<void>
}

export function createSweeper({ lease, leases: store, log, work }: SweeperOptions): Sweeper {
  const leases = createLeaseKeeper({ leases: store, nowMs: () => performance.now(), log })
  const end = new AbortController()
  let stopped = false
  let timer: Timer | undefined
  let running: Promise<unknown> = Promise.resolve()

  async function lots(lot: () => Promise<boolean>): Promise<void> {
    for (let goesOn = true; goesOn && !stopped && (await leases.hold(lease)); ) {
      const beganAt = performance.now()
      goesOn = await lot()
      if (goesOn) await Bun.sleep(PAUSE_MS + performance.now() - beganAt)
    }
  }

  const sweep = () => work(lots, end.signal)
  return {
    start() {
      const wake = (afterMs: number) => {
        timer = setTimeout(() => {
          running = sweep()
            .catch((error) => log.warn('a sweep failed; the next goes on', { lease, error }))
            .finally(() => {
              if (!stopped) wake(EVERY_MS)
            })
        }, afterMs)
        timer.unref()
      }
      wake(FIRST_AFTER_MS)
    },
    sweep,
    async close() {
      stopped = true
      end.abort()
      clearTimeout(timer)
      await running
      await leases.close()
    },
  }
}
