/**
 * The garbage collector of a server that answers thousands of requests a second.
 *
 * Left alone (Bun 1.4.5), JavaScriptCore collects young objects every third of a second or so, sweeps what they leave a tenth of a second
 * later in runs of up to 10 ms, and collects everything every few seconds, in 20 to 30 ms: Bun.serve counts 400 bytes for each request that
 * only such a collection takes off the count, though they are free long before. At 10,000 requests/s this is what is late. Collecting a little
 * at a time, as often as 2 % of a processor allow, leaves nothing to sweep later, and costs no throughput.
 *
 * The settings are read as a process begins and never again, so a server that finds none begins once more with them, as the same process.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  // Young objects: as often as the share of time below allows …
  BUN_JSC_percentCPUPerMBForEdenTimer: '0.1',
  BUN_JSC_collectionTimerMaxPercentCPU: '0.02',
  // … everything: when the heap has grown to its limit, and before that by the clock, for a few thousandths of a processor: about every ten seconds
  // where 2 MB of old garbage gather in one. By the limit alone memory went up and down by a third, half of it outside of the heap.
  BUN_JSC_percentCPUPerMBForFullTimer: '0.0002',
  // The allocator looks ten times a second for pages it can give back, on a thread that takes the core for milliseconds: once a second is enough.
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: '1000',
}

type Env = Readonly<Record<string, string | undefined>>

export interface Beginning {
  readonly args: readonly string[]
  readonly env: Env
  /** With those of `.env`. Default: the environment alone. */
  readonly settings?: Env
  /** Ends this program and begins the same one anew, in the same process. @throws Error when the system refuses. */
  readonly again: (env: Env) => void
}

/** For `fabra serve` with Redis; a laptop's server starts sooner without. What the user has set stays. */
export function tuneCollector({ args, env, settings = env, again }: Beginning): void {
  const isServer = args.find((arg) => !arg.startsWith('-')) === 'serve'
  const isProduction = Boolean(settings['FABRA_REDIS_URL']) || settings['FABRA_ENV'] === 'production'
  const isTuned = Object.keys(SETTINGS).every((name) => env[name] !== undefined)
  if (!isServer || !isProduction || isTuned) return
  try {
    again({ ...SETTINGS, ...env })
  } catch {
    // It serves all the same, with longer pauses.
  }
}
