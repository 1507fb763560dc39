/** What the server knows of itself, as routes ask for it. */
import type { Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Entity, Feature, SourceLocation } from '../../definition/model.ts'
import type { EventFeed } from '../../observability/event-feed.ts'
import type { ReadsView } from '../../observability/reads-together.ts'
import type { RequestSamples } from '../../observability/request-samples.ts'
import type { RunFigures } from '../../refresh/run-figures.ts'
import type { ReadObserver } from '../../serving/read-observer.ts'
import type { TrainingReport } from '../../training/job.ts'
import type { Change, DefinitionText, SourceLine, Storage, StoreState } from '../wire.ts'

export interface Insight {
  /** Null, as `statistics`: none are kept. */
  readonly observer: ReadObserver | null
  readonly statistics: ReadsView | null
  /** How many processes the statistics are of. */
  readonly covered: () => number
  readonly samples: RequestSamples
  readonly feed: EventFeed
  readonly facts: ProcessFacts
  readonly runs: RunFigures
  readonly changes: ChangeBook
  /** Learns what other processes did, if it was not asked just now. Never rejects. */
  freshen(): Promise<void>
  /** When the scheduler takes it up next; null: it never does. */
  nextDueAt(feature: Feature): Micros | null
  keysInUse(feature: Feature): number
  /** Null: not known. */
  sourcesOf(feature: Feature): readonly string[] | null
  sourceFacts(): Promise<ReadonlyMap<string, SourceFacts>>
  /** Rows that have the key, by source; sources without its columns are left out. */
  rowsOfKey(entity: Entity, key: EntityKey, asOf: Micros | null): Promise<readonly KeyRows[]>
  stores(): Promise<readonly StoreState[]>
  /** Sizes, and how they grow. @throws FabraError store_unavailable */
  storage(): Promise<Storage>
  /** Training sets of this process, newest first. */
  trainingSets(): readonly TrainingReport[]
}

export interface ProcessFacts {
  readonly mode: 'laptop' | 'production'
  /** Name of the folder that the definitions lie in, and the folder. */
  readonly project: string
  readonly folder: string
  readonly startedAt: Micros
  /** That share the port. */
  readonly processes: number
}

export interface SourceFacts {
  readonly rows: number | null
  readonly newestAt: Micros | null
  readonly loadedAt: Micros | null
}

export interface KeyRows {
  readonly source: string
  readonly rows: number | null
  readonly rowsLimit: number
  readonly newestAt: Micros | null
}

export interface FeatureVersion {
  readonly number: number | null
  readonly fingerprint: string
  readonly since: Micros
  readonly text: DefinitionText | null
}

/** What changed, kept beyond the process. */
export interface ChangeBook {
  /** Nothing is known of before. */
  readonly knownSince: Micros
  /** Newest first. */
  list(query: { readonly since: Micros | null; readonly limit: number }): Promise<readonly Change[]>
  /** Newest first. */
  versionsOf(feature: string): readonly FeatureVersion[]
  lastPushAt(feature: string): Micros | null
  /** Between two pushes; null: too few were seen. */
  usualPushMs(feature: string): number | null
}

/** As it is told: relative to the project. */
export function placeOf({ folder }: ProcessFacts, location: Pick<SourceLocation, 'file' | 'line'> | null): SourceLine | null {
  if (location === null) return null
  const { file, line } = location
  return { file: file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : (file.split('/').at(-1) ?? file), line }
}
