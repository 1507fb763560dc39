/** What a server can do now, and for whom. */
export interface Readiness {
  readonly ready: boolean
  /** Store → `ok`, or what is wrong with it. */
  readonly stores: Readonly<Record<string, string>>
}

/** `ok`, perhaps with more to be said. */
export function isOk(state: string): boolean {
  return /^ok\b/.test(state)
}
