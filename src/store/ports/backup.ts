/** A copy of all that a store holds, of one moment, in a file of its own. */
export interface BackupFile {
  readonly path: string
  /** It is not needed any more. Also while it is being read. */
  remove(): Promise<void>
}
