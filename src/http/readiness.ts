/** What a server can do now, and for whom. */
export interface Readiness {
  readonly ready: boolean
  /** Store → `ok`, or what is wrong with it. */
  readonly stores: Readonly<Record<string, string>>
  /** Values that come back from history since the start, and of about how many; null: nothing is on its way. */
  readonly recovery?: { readonly rows: number; readonly of: number | null } | null
  /** Null: all sources are there. */
  readonly loading?: LoadingProgress | null
}

/** Sources with files, of a start in a new folder. */
export interface LoadingProgress {
  /** Whose file is being read; null: none yet, or what is to be known of all is looked at. */
  readonly source: string | null
  readonly done: number
  readonly of: number
}

/** Files of sources that are read behind the open port. */
export interface SourceLoading {
  /** Null: all sources are there. */
  progress(): LoadingProgress | null
  /** Resolves when they are there and the definitions over them are served. @throws InvalidDefinitions */
  readonly whole: Promise<void>
}

/** `ok`, perhaps with more to be said. */
export function isOk(state: string): boolean {
  return /^ok\b/.test(state)
}
