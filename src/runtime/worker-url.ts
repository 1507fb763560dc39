/** The compiled executable keeps its modules in a virtual folder: "/$bunfs/root/" (on Windows "B:/~BUN/root/"). */
const VIRTUAL_ROOT = /^file:\/\/\/(?:\$bunfs|[A-Z]:\/(?:~|%7E)BUN)\/root\//

/**
 * Where `new Worker(...)` finds runtime/worker.ts, from the sources as well as inside the executable. There this module has
 * become part of a chunk in the virtual root, so a path relative to itself would miss; the entry point keeps its path below the root.
 */
export function workerUrl(): string {
  const root = VIRTUAL_ROOT.exec(import.meta.url)?.[0]
  return root === undefined ? new URL('./worker.ts', import.meta.url).href : `${root}runtime/worker.ts`
}

/** With which main.ts is told that it is no command line, but a process that runs functions. */
export const GUEST = '--guest-process'

/** What starts such a process: the executable itself, or the runtime with the guest's own file; and whom it must not outlive. */
export function guestCommand(): readonly string[] {
  const own = VIRTUAL_ROOT.test(import.meta.url) ? GUEST : new URL('./process/guest-main.ts', import.meta.url).pathname
  return [process.execPath, own, String(process.pid)]
}
