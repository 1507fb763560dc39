import type { LoadedFrame, RuntimeLog } from './frames.ts'
import type { GuestWorker, GuestWorkerOptions, StartWorker } from './guest-worker.ts'

/** The threads that run functions: as many as configured, a few more while some are stalled, and one for features in quarantine. */
export interface WorkerSet {
  readonly all: ReadonlySet<GuestWorker>
  /** Runs features in quarantine only; null while there is none. */
  quarantine(): GuestWorker | null
  /** The same, started where it may be. */
  openQuarantine(): GuestWorker | null
  /** The one whose loading decides whether the definitions are used: nobody but the caller watches it. */
  startFirst(): GuestWorker
  /** One more while the others are stalled; null when there are too many. */
  addExtra(): GuestWorker | null
  /** Starts what lacks of the configured number, beside the one in quarantine. @param most So many of them. */
  fill(most: number): void
  /** Ends one that was started in need and has had nothing to do since. @param hasSuspects Whether any feature is in quarantine. */
  shrink(now: number, hasSuspects: boolean): void
  /** Starts one in its place, and ends it when that one is ready and its own calls are through. Until then it is watched like the others. */
  renew(worker: GuestWorker): void
  /** Another has taken its place: it is given no calls any more. */
  isLeaving(worker: GuestWorker): boolean
  /** Ends the worker. @returns false when it was no longer one of the set. */
  end(worker: GuestWorker): boolean
  /** The worker has ended by itself. @returns false when it was no longer one of the set. */
  forget(worker: GuestWorker): boolean
  close(): Promise<void>
}

export interface WorkerSetOptions extends GuestWorkerOptions {
  readonly startWorker: StartWorker
  readonly workers: number
  readonly loadTimeoutMs: number
  readonly log: RuntimeLog
  /** A worker that is no longer the first did not load the definitions in time. */
  onLate(worker: GuestWorker): void
  /** One that is not the first has loaded the files. */
  onLoaded(worker: GuestWorker, loaded: LoadedFrame): void
}

/** Threads that would not end. Beyond this number, features in quarantine are refused instead of tying up more. */
const MAX_WRITTEN_OFF = 8
/** Workers beyond the configured number, while stalled ones wait for their deadline. */
const MAX_EXTRA = 4
/** How long one of them is kept with nothing to do. */
const SPARE_MS = 5_000
/** How often a worker that is to be ended is looked at. */
const IDLE_LOOK_MS = 50

export function createWorkerSet(options: WorkerSetOptions): WorkerSet {
  const { log, loadTimeoutMs } = options
  const all = new Set<GuestWorker>()
  const renewed = new WeakSet<GuestWorker>()
  const leaving = new Set<GuestWorker>()
  let quarantine: GuestWorker | null = null
  let writtenOff = 0
  let closed = false

  function add(): GuestWorker {
    const worker = options.startWorker(options)
    all.add(worker)
    const deadline = setTimeout(() => {
      log('error', 'A new worker did not load the definitions in time and is given up.', { timeoutMs: loadTimeoutMs })
      options.onLate(worker)
    }, loadTimeoutMs)
    deadline.unref()
    worker.loaded.finally(() => clearTimeout(deadline)).catch(() => {})
    worker.loaded.then(
      (loaded) => {
        options.onLoaded(worker, loaded)
        const [first] = loaded.problems
        if (first === undefined) return
        log('error', 'A new worker could not load the definitions again.', { problem: first.message, file: first.location?.file })
      },
      () => {},
    )
    return worker
  }

  const staying = () => [...all].filter((worker) => worker !== quarantine && !leaving.has(worker))

  function forget(worker: GuestWorker): boolean {
    if (worker === quarantine) quarantine = null
    leaving.delete(worker)
    return all.delete(worker)
  }

  function terminate(worker: GuestWorker): void {
    void worker.terminate().then((ended) => {
      if (ended) return
      writtenOff += 1
      void worker.ended.then(() => {
        writtenOff -= 1
      })
      log('error', 'A worker thread could not be ended; it sits in a call that nothing can interrupt.', {
        writtenOff,
        limit: MAX_WRITTEN_OFF,
      })
    })
  }

  function end(worker: GuestWorker): boolean {
    const isKnown = forget(worker)
    if (isKnown) terminate(worker)
    return isKnown
  }

  async function renew(worker: GuestWorker): Promise<void> {
    if (closed || !all.has(worker) || renewed.has(worker)) return
    renewed.add(worker)
    if (worker === quarantine) quarantine = null
    else await add().loaded.catch(() => undefined)
    if (all.has(worker)) leaving.add(worker)
    // Calls that it has begun come to their end there, or to their deadline.
    while (all.has(worker) && worker.inFlight.size > 0) await Bun.sleep(IDLE_LOOK_MS)
    end(worker)
  }

  return {
    all,
    quarantine: () => quarantine,
    openQuarantine() {
      if (quarantine === null && writtenOff < MAX_WRITTEN_OFF) quarantine = add()
      return quarantine
    },
    startFirst() {
      const first = options.startWorker(options)
      all.add(first)
      return first
    },
    addExtra: () => (all.size < options.workers + MAX_EXTRA + (quarantine ? 1 : 0) ? add() : null),
    fill(most) {
      for (let added = 0; added < most && !closed && staying().length < options.workers; added++) add()
    },
    renew: (worker) => void renew(worker),
    isLeaving: (worker) => leaving.has(worker),
    shrink(now, hasSuspects) {
      const isIdle = (worker: GuestWorker) => worker.inFlight.size === 0 && !worker.stalled && now - worker.lastSeenAt > SPARE_MS
      const own = staying()
      const spare = own.length > options.workers && !own.some((worker) => worker.stalled) ? own.find(isIdle) : undefined
      if (spare !== undefined) end(spare)
      if (quarantine !== null && !hasSuspects && isIdle(quarantine)) end(quarantine)
    },
    end,
    forget,
    async close() {
      closed = true
      await Promise.all([...all].map((worker) => worker.terminate()))
      all.clear()
    },
  }
}
