/** Which feature was seen asking for which with `get()`. */
export interface CallGraph {
  /**
   * Notes that the last feature of a chain asks for another one.
   * @returns whether that one leads back into the chain. Then it must not wait for a computation under way: that one may be waiting for the
   * chain, and both would wait for ever.
   */
  note(chain: readonly string[], asked: string): boolean
}

export function createCallGraph(): CallGraph {
  const asked = new Map<string, Set<string>>()

  function leadsTo(targets: readonly string[], from: string, seen: Set<string>): boolean {
    if (targets.includes(from)) return true
    if (seen.has(from)) return false
    seen.add(from)
    for (const next of asked.get(from) ?? []) if (leadsTo(targets, next, seen)) return true
    return false
  }

  return {
    note(chain, name) {
      const asker = chain.at(-1)
      if (asker === undefined) return false
      const known = asked.get(asker)
      if (known) known.add(name)
      else asked.set(asker, new Set([name]))
      return leadsTo(chain, name, new Set())
    },
  }
}
