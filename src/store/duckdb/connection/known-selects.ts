/** Texts kept: those that run again and again are few. */
const MAX_TEXTS = 256
/** Longer ones are not kept: lists of literals. */
const MAX_TEXT = 20_000

/** Texts that were found to be exactly one SELECT, which is a matter of the text alone, and how many parameters each takes. */
export interface KnownSelects {
  /** Undefined: it is not known to be one. */
  parametersOf(text: string): number | undefined
  add(text: string, parameterCount: number): void
}

export function createKnownSelects(): KnownSelects {
  const texts = new Map<string, number>()
  return {
    parametersOf: (text) => texts.get(text),
    add(text, parameterCount) {
      if (text.length > MAX_TEXT) return
      for (const oldest of texts.keys()) {
        if (texts.size < MAX_TEXTS) break
        texts.delete(oldest)
      }
      texts.set(text, parameterCount)
    },
  }
}
