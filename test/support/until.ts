/** What comes in a moment on an idle machine may take this long on a busy one. Nothing waits so long when all is well. */
const PATIENCE_MS = 60_000

/** Between looks: soon at first, then seldom, since each look may cost a server more than what it waits for. */
const [SOON_MS, LATER_MS, LATER_FROM_MS] = [10, 50, 250]

/**
 * Waits for something outside of this process: a server that starts, a file that appears. Never for time to pass.
 * @param atLeastMs How long it may take at most; a busy machine has PATIENCE_MS, whatever is said here: how fast it is, no test asserts.
 * @throws Error naming `what` when it does not come.
 */
export async function until<Result>(what: string, atLeastMs: number, probe: () => Promise<Result | undefined>): Promise<Result> {
  const limitMs = Math.max(atLeastMs, PATIENCE_MS)
  const startedAt = performance.now()
  for (;;) {
    const result = await probe()
    if (result !== undefined) return result
    const waitedMs = performance.now() - startedAt
    if (waitedMs > limitMs) throw new Error(`Waited ${limitMs} ms for ${what}.`)
    await Bun.sleep(waitedMs < LATER_FROM_MS ? SOON_MS : LATER_MS)
  }
}
