/** Texts kept: those that run again and again are few. */
const MAX_TEXTS = 256
/** Longer ones are not kept: lists of literals. */
const MAX_TEXT = 20_000

/** Texts that were found to be exactly one SELECT without parameters, which is a matter of the text alone. */
export interface KnownSelects {
  has(text: string): boolean
  add(text: string): void
}

export function createKnownSelects(): KnownSelects {
  const texts = new Set<string>()
  return {
    has: (text) => texts.has(text),
    add(text) {
      if (text.length > MAX_TEXT) return
      for (const oldest of texts) {
        if (texts.size < MAX_TEXTS) break
        texts.delete(oldest)
      }
      texts.add(text)
    },
  }
}
