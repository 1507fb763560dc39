import type { Micros } from '../../clock.ts'

/** Something that changed, as it is kept: a feature's version, a source that was loaded, values that were pushed, a start, what is recorded. */
export interface ChangeRecord {
  /** What several processes see is told by each of them with the same id, and kept once. */
  readonly id: string
  readonly at: Micros
  readonly kind: 'version' | 'source' | 'push' | 'start' | 'history'
  readonly subject: string
  /** JSON. */
  readonly body: string
}

/** What people are told of. What is recorded is a note of the store to itself. */
export type ShownChange = ChangeRecord & { readonly kind: Exclude<ChangeRecord['kind'], 'history'> }

/** What changed, among all processes. Of each kind and subject some hundreds are kept. */
export interface ChangeStore {
  /** @throws FabraError store_unavailable */
  addChanges(changes: readonly ChangeRecord[]): Promise<void>
  /** Newest first. @throws FabraError store_unavailable */
  changes(filter: {
    readonly kind?: ChangeRecord['kind']
    readonly since?: Micros
    readonly limit: number
  }): Promise<readonly ChangeRecord[]>
  /** When the files of sources were last read, by source. @throws FabraError store_unavailable */
  loadedSources(): Promise<ReadonlyMap<string, Micros>>
}
