/** Errors of a feature may name the parts that it is made of: whoever may not see a part is not told its name either. */
import type { Registry } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'

export interface ConfinedWords {
  /** Null: it names what is not seen. */
  text(words: string): string | null
  error(error: FabraError): FabraError
}

export function confinedWords(whole: Registry, seen: Registry): ConfinedWords {
  const unseen = (all: ReadonlyMap<string, unknown>, some: ReadonlyMap<string, unknown>) =>
    [...all.keys()].filter((name) => !some.has(name))
  const names = [
    ...unseen(whole.features, seen.features),
    ...unseen(whole.entities, seen.entities),
    ...unseen(whole.featureSets, seen.featureSets),
    ...unseen(whole.sources, seen.sources),
  ]
  const pattern = names.length === 0 ? null : new RegExp(`\\b(?:${names.join('|')})\\b`)
  const hasUnseen = (words: string) => pattern?.test(words) === true
  return {
    text: (words) => (hasUnseen(words) ? null : words),
    error(error) {
      if (!hasUnseen(`${error.message} ${error.hint ?? ''}`)) return error
      return new FabraError(error.code, 'What the feature is made of failed.', {
        cause: error,
        hint: 'The log of the server has the reason.',
      })
    },
  }
}
