import type { GuestWorker } from './guest-worker.ts'

export function ping(worker: GuestWorker, now: number): void {
  if (worker.pingedAt !== 0 || worker.definitions === null) return
  worker.pingedAt = now
  worker.send({ t: 'ping' })
}

/**
 * Asks a silent worker for a sign of life, or declares it stalled and finds out who is to blame.
 * @param late This thread was held up itself, so answers may wait in its queue: nobody is judged by this look.
 * @returns milliseconds since the unanswered ping; 0 when there is none.
 */
export function checkSilence(worker: GuestWorker, now: number, late: boolean): number {
  if (worker.pingedAt === 0) {
    if (now - worker.lastSeenAt >= worker.watched.pingAfterMs) ping(worker, now)
    return 0
  }
  if (late) worker.pingedAt = now
  const silentMs = now - worker.pingedAt
  if (!worker.stalled && silentMs >= worker.watched.stalledAfterMs) {
    worker.stalled = true
    worker.blamed = worker.runningId()
  }
  if (worker.stalled && worker.runningId() !== worker.blamed) worker.blamed = 0
  return silentMs
}
