import type { RedisConnection } from '../redis.ts'
import type { RedisPart } from '../socket/servers.ts'
import { type Belief, MARK_FIELDS, readMark } from './marks.ts'

/** Reads the marks themselves, rather than comparing what a read brought with what is believed. */
export class MarkReader {
  private readonly connection: RedisConnection
  /** Of servers that do not say which they are: the epoch that the connection began with. What its mark says may have been true before only. */
  private unproved: { readonly connections: number; readonly epoch: string } | undefined

  constructor(connection: RedisConnection) {
    this.connection = connection
  }

  /** Every place's is compared with what is believed of it, as with any read. */
  async compare(places: readonly RedisPart[]): Promise<void> {
    await this.connection.readHashes(
      places.map(({ key }) => key),
      MARK_FIELDS,
      () => undefined,
    )
  }

  /** @returns the marks as they are, where they say one epoch and their servers; else undefined. */
  async read(places: readonly RedisPart[]): Promise<readonly Belief[] | undefined> {
    const { marks } = this.connection
    const rows = await this.connection.readHashes(
      places.map(({ key }) => key),
      MARK_FIELDS,
      (answers, from) => places.map((_, i) => Buffer.from(answers[from + i] as Buffer)),
    )
    const seen: Belief[] = []
    for (const [i, place] of places.entries()) {
      const mark = readMark(rows[i] as Buffer)
      if (!mark || place.server === undefined || mark.runId !== place.server) return undefined
      if (marks.hasGoneBack(place.key, mark)) return undefined
      if (seen[0] && seen[0].epoch !== mark.epoch) return undefined
      seen.push(mark)
    }
    return seen[0] && places.some(({ server }) => server === '') && this.isUnproved(seen[0].epoch) ? undefined : seen
  }

  private isUnproved(current: string): boolean {
    const connections = this.connection.connections()
    if (this.unproved?.connections !== connections) this.unproved = { connections, epoch: current }
    return this.unproved.epoch === current
  }
}
