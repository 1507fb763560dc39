/** What a server can do now, and for whom. */
export interface Readiness {
  readonly ready: boolean
  /** Store → `ok`, or what is wrong with it. */
  readonly stores: Readonly<Record<string, string>>
  /** Values that come back from history since the start, and of about how many; null: nothing is on its way. */
  readonly recovery?: { readonly rows: number; readonly of: number | null } | null
}

/** `ok`, perhaps with more to be said. */
export function isOk(state: string): boolean {
  return /^ok\b/.test(state)
}
