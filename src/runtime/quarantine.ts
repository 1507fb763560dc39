import type { RuntimeLog } from './frames.ts'

/** Features that blocked a worker lately. They run in quarantine, on a worker for such features only. */
export interface Suspects {
  /** @param deed What it did to its worker, for the log. */
  accuse(feature: string, deed: 'blocks' | 'ends' | 'ties up'): void
  /**
   * A worker ended by itself while these ran: the one, or those that ran at the time before as well, did it.
   * @param isFromOutside It was ended as an operator or the system ends processes: only those that ran at the third end in a short time are accused.
   */
  accuseAmong(features: readonly string[], isFromOutside: boolean): void
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
  /** The last two, the latest last. */
  let ends: readonly { readonly at: number; readonly ran: ReadonlySet<string> }[] = []
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
    accuseAmong(features, isFromOutside) {
      const now = performance.now()
      const ran = new Set(features)
      const before = isFromOutside ? ends.filter(({ at }) => now - at < QUARANTINE_MS) : ends.slice(-1)
      const isKnown = isFromOutside ? before.length > 1 : before.length > 0
      const isAlone = ran.size === 1 && !isFromOutside
      ends = [...ends.slice(-1), { at: now, ran }]
      if (!isAlone && !isKnown) return
      for (const feature of ran) if (isAlone || before.every((end) => end.ran.has(feature))) accuse(feature, 'ends')
    },
    clear(feature) {
      proven.add(feature)
    },
    isProven: (feature) => proven.has(feature),
  }
}
