/** Who looks: the API key, kept in this tab until it closes and sent as a header alone, and what it may do. */
import { signal } from '@preact/signals'
import type { Me, Scope } from '../../http/wire.ts'

const KEPT = 'fabra.key'

export const key = signal<string | null>(sessionStorage.getItem(KEPT))
/** Null until the server has said who this is. */
export const me = signal<Me | null>(null)
/** The server asks for a key, and there is none that it takes. */
export const isLocked = signal(false)

export function takeKey(given: string): void {
  sessionStorage.setItem(KEPT, given)
  key.value = given
}

export function signOut(): void {
  sessionStorage.removeItem(KEPT)
  key.value = null
  me.value = null
  isLocked.value = true
}

/** Whose reads the figures count. Null: there is only one process. */
export function coverageWord(): string | null {
  const { coverage } = me.value ?? {}
  if (!coverage || coverage.of <= 1) return null
  return coverage.of > coverage.processes ? `${coverage.processes} of ${coverage.of} processes` : `${coverage.of} processes`
}

/** Of requests that this page sends; where it is not known, the server decides. */
export function may(scope: Scope): boolean {
  return me.value === null || me.value.scopes.includes(scope)
}

/** What the key sees alone, in words; null: everything. */
export function seesWords(): string | null {
  const sees = me.value?.key?.sees
  if (!sees) return null
  const [features, entities] = [named(sees.features), named(sees.entities)]
  if (features === null) return entities === null ? null : `features of ${entities}`
  return entities === null ? features : `${features} of ${entities}`
}

const MOST_NAMED = 6

function named(names: readonly string[] | null): string | null {
  if (names === null) return null
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : ''
  return names.length === 0 ? 'nothing' : names.slice(0, MOST_NAMED).join(', ') + more
}

/** Answers that tell of everything, and none to a key that sees a part. */
const OF_EVERYTHING = /^\/v1\/(?:overview|changes|lineage|sources|features\/[^/]+\/definition)(?:\?|$)/

export function isClosed(path: string): boolean {
  return seesWords() !== null && OF_EVERYTHING.test(path)
}
