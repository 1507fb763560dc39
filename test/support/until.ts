/**
 * Waits for something outside of this process: a server that starts, a file that appears. Never for time to pass.
 * @throws Error naming `what` after `limitMs`.
 */
export async function until<Result>(what: string, limitMs: number, probe: () => Promise<Result | undefined>): Promise<Result> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const result = await probe()
    if (result !== undefined) return result
    if (performance.now() > deadline) throw new Error(`Waited ${limitMs} ms for ${what}.`)
    await Bun.sleep(10)
  }
}
