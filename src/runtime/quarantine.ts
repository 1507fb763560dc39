import type { RuntimeLog } from './frames.ts'

/** Features that blocked a worker lately. They run in quarantine, on a worker for such features only. */
export interface Suspects {
  /** @param deed What it did to its worker, for the log. */
  accuse(feature: string, deed: 'blocks' | 'ends' | 'ties up'): void
  /** A worker ended by itself while these ran: the one, or those that ran at the time before as well, did it. */
  accuseAmong(features: readonly string[]): void
  has(feature: string): boolean
  /** Whether any feature is in quarantine. */
  any(): boolean
  /** It has given an answer. */
  clear(feature: string): void
  /** It has given an answer since it last blocked anybody. Others try their first calls on one worker. */
  isProven(feature: string): boolean
}

/** How long a feature stays in quarantine after it last blocked a worker. */
const QUARANTINE_MS = 60_000

export function createSuspects(log: RuntimeLog): Suspects {
  const until = new Map<string, number>()
  const proven = new Set<string>()
  let ranAtLastEnd: ReadonlySet<string> = new Set()
  const has = (feature: string) => (until.get(feature) ?? 0) > performance.now()
  function accuse(feature: string, deed: string): void {
    proven.delete(feature)
    if (!has(feature)) log('warn', `"${feature}" ${deed} its worker; it now runs apart from the others.`, { feature })
    until.set(feature, performance.now() + QUARANTINE_MS)
  }
  return {
    has,
    any: () => [...until.keys()].some(has),
    accuse,
    accuseAmong(features) {
      const [only] = features
      const ran = new Set(features)
      const culprits = ran.size === 1 && only !== undefined ? [only] : [...ran.intersection(ranAtLastEnd)]
      ranAtLastEnd = ran
      for (const feature of culprits) accuse(feature, 'ends')
    },
    clear(feature) {
      proven.add(feature)
    },
    isProven: (feature) => proven.has(feature),
  }
}
