import type { Micros } from '../../clock.ts'
import { ChunkedList, type List } from '../../collections/chunked-list.ts'
import { KeyIndex } from '../../collections/key-index.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Feature } from '../../definition/model.ts'
import type { FabraError } from '../../errors.ts'
import type { Computed, ComputeRow, ComputeRows } from '../executor.ts'
import { failed, type InFlight, newInFlight, noYoungerInputs, type Outcome } from './in-flight.ts'

/** Keys that are settled together. */
export const CHUNK = 500
/** However many lists of keys a function takes one after the other. */
export const LONGEST_REFRESH_MS = 6 * 3_600_000

const NO_CHAIN: readonly string[] = []

/**
 * The keys of one refresh, computed together. An object per key costs the collector a look at each of half a million, and the requests that
 * wait meanwhile: only keys that somebody asks for on the way get one.
 */
export class RefreshBatch implements ComputeRows {
  readonly feature: Feature
  readonly timeoutMs: number
  /** Set when the computation starts. */
  asOf: Micros = 0
  private readonly all: List<EntityKey>
  /** Of the rows, among all keys. */
  private readonly keyIndexes = new ChunkedList<number>()
  private readonly index = new KeyIndex((row) => this.key(row).encoded)
  /** Rows that somebody asked for on the way. */
  private readonly joined = new Map<number, InFlight>()
  private answers: List<Computed> = []
  /** Why the answers of a chunk could not be kept. */
  private readonly unstored: (FabraError | undefined)[] = []
  private settledCount = 0

  /** @param all Keys of which some are added. */
  constructor(feature: Feature, all: List<EntityKey>, timeoutMs: number) {
    this.feature = feature
    this.all = all
    this.timeoutMs = timeoutMs
  }

  get length(): number {
    return this.keyIndexes.length
  }

  /** Each key once. @param index Among all keys. */
  add({ encoded }: EntityKey, index: number): void {
    this.index.add(encoded, this.keyIndexes.length)
    this.keyIndexes.push(index)
  }

  at(row: number): ComputeRow | undefined {
    return row < this.length ? { key: this.key(row), asOf: this.asOf } : undefined
  }

  key(row: number): EntityKey {
    return this.all.at(this.keyIndexes.at(row) as number) as EntityKey
  }

  /** What somebody joins; undefined for a key that is settled or is not part of it. */
  inFlight(id: string): InFlight | undefined {
    const row = this.index.of(id)
    if (row === undefined || row < this.settledCount) return undefined
    const known = this.joined.get(row)
    if (known) return known
    const inFlight = newInFlight(id, { feature: this.feature, key: this.key(row), chain: NO_CHAIN, timeoutMs: this.timeoutMs })
    inFlight.asOf = this.asOf
    this.joined.set(row, inFlight)
    return inFlight
  }

  start(asOf: Micros): void {
    this.asOf = asOf
    for (const inFlight of this.joined.values()) inFlight.asOf = asOf
  }

  answer(answers: List<Computed>): void {
    this.answers = answers
  }

  isForgotten(row: number): boolean {
    return this.joined.size > 0 && this.joined.get(row)?.isForgotten === true
  }

  /** The next chunk has been kept, or not: those who joined get their outcomes. */
  settle(unstored: FabraError | undefined): void {
    const until = Math.min(this.length, this.settledCount + CHUNK)
    this.unstored.push(unstored)
    if (this.joined.size > 0) for (let row = this.settledCount; row < until; row++) this.resolve(row)
    this.settledCount = until
  }

  private resolve(row: number): void {
    const inFlight = this.joined.get(row)
    if (!inFlight) return
    const computed = this.computed(row)
    inFlight.computed = computed
    inFlight.waiting?.resolve({ computed, asOf: this.asOf })
  }

  outcome(row: number): Outcome {
    return { computed: this.computed(row), asOf: this.asOf }
  }

  /** Of a row that is settled. */
  computed(row: number): Computed {
    const computed = noYoungerInputs(this.answers.at(row) ?? failed(this.feature), this.asOf)
    const unstored = this.unstored[Math.floor(row / CHUNK)]
    return unstored && computed.kind !== 'error' ? { kind: 'error', error: unstored } : computed
  }
}
