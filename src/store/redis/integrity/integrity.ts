/** Whether Redis is whole and takes writes, and bringing it back to that. How a read knows is told in marks.ts. */

import { isUnavailable } from '../../../errors.ts'
import type { Doubts } from '../../ports/doubts.ts'
import type { OnlineStore } from '../../ports/online-store.ts'
import { PROBE } from '../format/scripts.ts'
import type { RedisConnection } from '../redis.ts'
import type { RedisPart } from '../socket/servers.ts'
import { isRefusal, unavailable } from '../socket/unavailable.ts'
import { FilledFields } from './filled-fields.ts'
import { MarkReader } from './mark-reader.ts'
import { Restoration } from './restoration.ts'

/** A probe that takes longer tells that writes are not taken: that is to be known within a second. */
const PROBE_MS = 450

/** Nobody needs to be told of it: it is over in a moment, or there is more to tell. */
export const NOT_LOOKED_AT = 'may have lost values: history is asked until that is known'
export const INCOMPLETE = 'lacks values: history is asked until they are brought back'
const LATE = 'does not take writes in time'

export class Integrity implements Pick<OnlineStore, 'look' | 'restore' | 'filled' | 'markFilled'> {
  private readonly connection: RedisConnection
  private readonly doubts: Doubts
  private readonly fields: FilledFields
  private readonly marks: MarkReader
  private readonly restoration: Restoration
  private looking: Promise<void> | undefined
  private refusedWrites = 0

  constructor(connection: RedisConnection, doubts: Doubts) {
    this.connection = connection
    this.doubts = doubts
    this.fields = new FilledFields(connection)
    this.marks = new MarkReader(connection)
    this.restoration = new Restoration(connection, this.marks, this.fields)
    doubts.set('lost', NOT_LOOKED_AT)
    connection.onNews(() => {
      if (!doubts.has('lost')) doubts.set('lost', NOT_LOOKED_AT)
      this.lookShared().catch(() => undefined)
    })
  }

  async look(fields?: readonly string[]): Promise<void> {
    if (fields === undefined) return this.lookShared()
    this.fields.expect(fields)
    await this.lookAnew()
  }

  restore(fill: (lost: readonly string[]) => Promise<void>): Promise<readonly string[] | undefined> {
    return this.restoration.run(fill, () => this.lookAnew())
  }

  filled(fields: readonly string[]): Promise<readonly boolean[]> {
    return this.fields.areFilled(fields)
  }

  markFilled(field: string): Promise<void> {
    return this.fields.markFilled(field)
  }

  /** A write that is refused is known to be at once. */
  async written<T>(write: Promise<T>): Promise<T> {
    try {
      return await write
    } catch (error) {
      const refusal = refusalOf(error)
      if (refusal !== undefined) {
        this.refusedWrites++
        this.doubts.set('refused', refusal)
      }
      throw error
    }
  }

  private lookShared(): Promise<void> {
    this.looking ??= this.lookOnce().finally(() => {
      this.looking = undefined
    })
    return this.looking
  }

  /** One that began before counts for nothing. */
  private async lookAnew(): Promise<void> {
    await this.looking?.catch(() => undefined)
    return this.lookShared()
  }

  private async lookOnce(): Promise<void> {
    const { refusedWrites } = this
    const looks = await Promise.allSettled([this.lookAtMarks(), probe(this.connection)])
    const failures = looks.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    const refusal = failures.map(refusalOf).find((one) => one !== undefined)
    if (refusal !== undefined) this.doubts.set('refused', refusal)
    // What was refused since this look began stays known until the next one.
    else if (failures.length === 0 && refusedWrites === this.refusedWrites)
      this.doubts.set('refused', looks[1]?.status === 'fulfilled' && looks[1].value === 'late' ? LATE : null)
    if (failures.length > 0) throw failures[0]
  }

  private async lookAtMarks(): Promise<void> {
    const { connection, doubts } = this
    const places = connection.places()
    if (places.length === 0) throw unavailable('There is no connection.')
    const isBelieved = places.every(({ key }) => connection.marks.of(key) !== undefined)
    if (!doubts.has('lost') && this.fields.areProved() && isBelieved) return this.marks.compare(places)
    const why = await this.whatIsWrong(places)
    doubts.set('lost', why ?? null)
  }

  /** @returns undefined: all is there, and the marks are believed. */
  private async whatIsWrong(places: readonly RedisPart[]): Promise<string | undefined> {
    const connections = this.connection.connections()
    const seen = await this.marks.read(places)
    const first = seen?.[0]
    if (!seen || !first) return INCOMPLETE
    if (!this.fields.areProved(first.epoch) && !(await this.fields.prove(first.epoch))) return INCOMPLETE
    // Another server may be there by now, of which the marks that were read say nothing.
    if (this.connection.connections() !== connections) return NOT_LOOKED_AT
    for (const [i, belief] of seen.entries()) this.connection.marks.believe((places[i] as RedisPart).key, belief)
    return undefined
  }
}

/** Whether writes are taken, and in time. */
async function probe(connection: RedisConnection): Promise<'late' | undefined> {
  const over = Promise.withResolvers<'late'>()
  const timer = setTimeout(over.resolve, PROBE_MS, 'late')
  const probes = Promise.all(connection.places().map(({ key }) => connection.runAtOnce(PROBE, [key], [])))
  try {
    return await Promise.race([probes.then(() => undefined), over.promise])
  } finally {
    clearTimeout(timer)
    probes.catch(() => undefined)
  }
}

/** What Redis said, where it said no. */
function refusalOf(error: unknown): string | undefined {
  if (!isUnavailable(error) || !(error instanceof Error) || !(error.cause instanceof Error)) return undefined
  return isRefusal(error.cause.message) ? error.cause.message : undefined
}
