import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Longest wait for another process. Unpacking takes about half a second, and a few when ten processes want the disk. */
const LIMIT_MS = 10_000
const STEP_MS = 10

/**
 * Lets one process unpack while the others that start at the same moment wait for its result, instead of all doing the same work.
 * Only a courtesy: the files are safe without it, so whoever waited too long, or finds the holder dead, goes ahead.
 * @param isDone whether the result is there and waiting has become pointless.
 * @returns gives the lock back; does nothing where it was never held.
 */
export function holdUnpackLock(folder: string, isDone: () => boolean): () => void {
  const path = join(folder, '.lock')
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (let waitedMs = 0; waitedMs < LIMIT_MS && !isDone(); waitedMs += STEP_MS) {
    if (tryTake(path)) return () => rmSync(path, { force: true })
    if (isHolderDead(path)) rmSync(path, { force: true })
    // The addon is needed before anything else can run, so the whole thread waits.
    Atomics.wait(sleeper, 0, 0, STEP_MS)
  }
  return () => {}
}

function tryTake(path: string): boolean {
  try {
    const descriptor = openSync(path, 'wx', 0o600)
    writeSync(descriptor, String(process.pid))
    closeSync(descriptor)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

function isHolderDead(path: string): boolean {
  try {
    // Empty in the instant between its creation and its first byte: then pid 0, which is nobody's.
    const pid = Number(readFileSync(path, 'utf8'))
    return pid > 0 && isDead(pid)
  } catch {
    return false
  }
}

/** Whether no process has this id. In another container it may be alive all the same: use it for courtesies only. */
export function isDead(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return codeOf(error) === 'ESRCH'
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
