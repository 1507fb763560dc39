/** Locks of tables that everybody reads and writes. */
import { PostgresSqlError } from '../connection/errors.ts'
import type { WorkOptions } from '../connection/postgres.ts'

/** How long history may be locked, or others wait behind what waits for a lock: one attempt after the other. */
const LOCKS_MS = [20, 50, 100, 200, 400]
/** Of an attempt's time. */
const PAUSE_TIMES = 5
const WORK_MS = 10_000
/** A lock was not had in time. */
export const IN_USE = '55P03'
/** Or two were in each other's way. */
const IN_THE_WAY = [IN_USE, '40P01', '40001']
/** For rows that are looked up one by one: each is a descent into an index, whatever is known of the tables. */
export const LOOKUPS = { jit: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off', enable_seqscan: 'off', lock_timeout: 2_000 } as const

/** Work that locks what others use: given up soon, so that nobody waits behind it, and tried again. @throws SqlError */
export async function patiently<T>(signal: AbortSignal, work: (lockMs: number) => Promise<T>): Promise<T> {
  for (const [i, lockMs] of LOCKS_MS.entries()) {
    try {
      return await work(lockMs)
    } catch (error) {
      const isInUse = error instanceof PostgresSqlError && error.state !== null && IN_THE_WAY.includes(error.state)
      if (!isInUse || i === LOCKS_MS.length - 1 || signal.aborted) throw error
      await Bun.sleep(PAUSE_TIMES * lockMs)
    }
  }
  throw new Error('There is always an attempt.')
}

export function locking(lockMs: number): WorkOptions {
  return { timeoutMs: WORK_MS, settings: { lock_timeout: lockMs } }
}
