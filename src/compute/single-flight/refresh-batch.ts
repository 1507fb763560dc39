import type { Micros } from '../../clock.ts'
import { type List, LongList } from '../../collections/chunked-list.ts'
import { KeyIndex } from '../../collections/key-index.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Feature } from '../../definition/model.ts'
import type { FabraError } from '../../errors.ts'
import type { Computed, ComputeRow, ComputeRows } from '../executor.ts'
import { type Flight, type Flown, failed, newFlight, noYoungerInputs } from './flights.ts'

/** Keys that land together. */
export const LOT = 500

const NO_CHAIN: readonly string[] = []

/**
 * The keys of one refresh, computed together. An object per key costs the collector a look at each of half a million, and the requests that
 * wait meanwhile: only keys that somebody asks for on the way become flights.
 */
export class Sweep implements ComputeRows {
  readonly feature: Feature
  readonly timeoutMs: number
  /** The start of the computation; set when it departs. */
  asOf: Micros = 0
  private readonly all: List<EntityKey>
  /** Of the rows, among all keys. */
  private readonly places = new LongList<number>()
  private readonly index = new KeyIndex((row) => this.key(row).encoded)
  private readonly asked = new Map<number, Flight>()
  private answers: List<Computed> = []
  /** Why the answers of a lot could not be kept. */
  private readonly unstored: (FabraError | undefined)[] = []
  private landed = 0

  /** @param all Keys of which some are added. */
  constructor(feature: Feature, all: List<EntityKey>, timeoutMs: number) {
    this.feature = feature
    this.all = all
    this.timeoutMs = timeoutMs
  }

  get length(): number {
    return this.places.length
  }

  /** Each key once. */
  add({ encoded }: EntityKey, place: number): void {
    this.index.add(encoded, this.places.length)
    this.places.push(place)
  }

  at(row: number): ComputeRow | undefined {
    return row < this.length ? { key: this.key(row), asOf: this.asOf } : undefined
  }

  key(row: number): EntityKey {
    return this.all.at(this.places.at(row) as number) as EntityKey
  }

  /** What somebody joins; undefined for a key that has landed or is not part of it. */
  flight(id: string): Flight | undefined {
    const row = this.index.of(id)
    if (row === undefined || row < this.landed) return undefined
    const known = this.asked.get(row)
    if (known) return known
    const flight = newFlight(id, { feature: this.feature, key: this.key(row), chain: NO_CHAIN, timeoutMs: this.timeoutMs })
    flight.asOf = this.asOf
    this.asked.set(row, flight)
    return flight
  }

  depart(asOf: Micros): void {
    this.asOf = asOf
    for (const flight of this.asked.values()) flight.asOf = asOf
  }

  answer(answers: List<Computed>): void {
    this.answers = answers
  }

  isForgotten(row: number): boolean {
    return this.asked.size > 0 && this.asked.get(row)?.isForgotten === true
  }

  /** The next lot has been kept, or not: those who asked are told. */
  land(unstored: FabraError | undefined): void {
    const until = Math.min(this.length, this.landed + LOT)
    this.unstored.push(unstored)
    if (this.asked.size > 0) for (let row = this.landed; row < until; row++) this.tell(row)
    this.landed = until
  }

  private tell(row: number): void {
    const flight = this.asked.get(row)
    if (!flight) return
    const computed = this.computed(row)
    flight.computed = computed
    flight.waiting?.resolve({ computed, asOf: this.asOf })
  }

  flown(row: number): Flown {
    return { computed: this.computed(row), asOf: this.asOf }
  }

  /** Of a row that has landed. */
  computed(row: number): Computed {
    const computed = noYoungerInputs(this.answers.at(row) ?? failed(this.feature), this.asOf)
    const unstored = this.unstored[Math.floor(row / LOT)]
    return unstored && computed.kind !== 'error' ? { kind: 'error', error: unstored } : computed
  }
}
