import type { Logger } from '../observability/logger.ts'
import { hasWork, type RecomputeQueue } from './recompute-queue.ts'

/** Batches of different features at once: requests need the engine too. */
const MAX_BATCHES = 2
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 50
/** What cannot be looked up is tried again after this time. */
const PAUSE_WHILE_DOWN_MS = 1_000

export interface RecomputeTurnsOptions {
  /** Computes what waits in a queue. @returns whether keys failed and are to be tried again. */
  readonly runBatch: (queue: RecomputeQueue) => Promise<boolean>
  /** Called whenever a turn has ended or was not needed: perhaps nothing is left to do. */
  readonly onPause: () => void
  readonly log: Logger
}

/** When each feature's queue has its turn: one batch of a feature at a time, and few at once. */
export class RecomputeTurns {
  private readonly options: RecomputeTurnsOptions
  private readonly due: RecomputeQueue[] = []
  private batches = 0
  /** One at a time, so that what must follow always finds a place. */
  private easyRuns = false
  private timers = 0
  private isClosed = false

  constructor(options: RecomputeTurnsOptions) {
    this.options = options
  }

  get isIdle(): boolean {
    return this.timers === 0 && this.batches === 0 && this.due.length === 0
  }

  /** What comes within a moment goes along; a feature that takes long leaves as long for others. */
  schedule(queue: RecomputeQueue, pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, queue.lastMs))): void {
    if (queue.running || this.isClosed || !hasWork(queue)) {
      this.options.onPause()
      return
    }
    queue.running = true
    this.timers++
    setTimeout(() => {
      this.timers--
      this.due.push(queue)
      void this.runNext()
    }, pauseMs)
  }

  /** No further turns. */
  close(): void {
    this.isClosed = true
  }

  private async runNext(): Promise<void> {
    if (this.batches >= MAX_BATCHES) return
    const at = this.due.findIndex((queue) => queue.mustFollow || !this.easyRuns)
    const [queue] = at < 0 ? [] : this.due.splice(at, 1)
    if (!queue) {
      this.options.onPause()
      return
    }
    this.batches++
    const isEasy = !queue.mustFollow
    if (isEasy) this.easyRuns = true
    const started = performance.now()
    let failed = false
    try {
      failed = await this.options.runBatch(queue)
    } catch (error) {
      this.options.log.warn(`"${queue.name}" could not follow the events of its sources`, { error })
    }
    this.batches--
    if (isEasy) this.easyRuns = false
    queue.lastMs = performance.now() - started
    queue.running = false
    this.schedule(queue, failed ? PAUSE_WHILE_DOWN_MS : undefined)
    void this.runNext()
  }
}
