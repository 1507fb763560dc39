import { BEGIN_MARK, END_MARK, EXTEND_CLAIM, RELEASE_CLAIM } from '../format/scripts.ts'
import type { RedisConnection } from '../redis.ts'
import { unavailable } from '../socket/unavailable.ts'
import type { FilledFields } from './filled-fields.ts'
import type { MarkReader } from './mark-reader.ts'

/** Brings everything that history knows of these fields and marks each as filled. */
type Fill = (lost: readonly string[]) => Promise<void>

/** Who brings everything back. */
const RESTORER = 'fabra:restorer'
const RESTORER_MS = 10_000
const RENEW_EVERY_MS = 2_500

/** Brings back what Redis has lost: one process at a time. */
export class Restoration {
  private readonly connection: RedisConnection
  private readonly marks: MarkReader
  private readonly filled: FilledFields

  constructor(connection: RedisConnection, marks: MarkReader, filled: FilledFields) {
    this.connection = connection
    this.marks = marks
    this.filled = filled
  }

  /**
   * @param whenFilled Runs before another process may begin.
   * @returns the fields that are there again; undefined where another process is at it.
   */
  async run(fill: Fill, whenFilled: () => Promise<void>): Promise<readonly string[] | undefined> {
    const { connection } = this
    const me = crypto.randomUUID()
    if ((await connection.send('SET', RESTORER, me, 'NX', 'PX', RESTORER_MS)) === null) return undefined
    const keeping = setInterval(
      () => void connection.run(EXTEND_CLAIM, [RESTORER], [me, RESTORER_MS]).catch(() => undefined),
      RENEW_EVERY_MS,
    )
    keeping.unref()
    try {
      const seen = await this.marks.read(connection.places())
      const lost = seen?.[0] ? await this.fillRest(seen[0].epoch, fill) : await this.fillAnew(me, fill)
      await whenFilled()
      return lost
    } finally {
      clearInterval(keeping)
      connection.run(RELEASE_CLAIM, [RESTORER], [me]).catch(() => undefined)
    }
  }

  /** Another process brought back what it knows; fields of ours may be missing. */
  private async fillRest(epoch: string, fill: Fill): Promise<readonly string[]> {
    const lost = await this.filled.missingIn(epoch)
    await fill(lost)
    return lost
  }

  private async fillAnew(me: string, fill: Fill): Promise<readonly string[]> {
    const { connection } = this
    const places = connection.places().map(({ key, server }) => ({ key, server: connection.writesTo() ?? server }))
    if (places.some(({ server }) => server === undefined)) throw unavailable('There is no connection.')
    await Promise.all(places.map(({ key }) => connection.run(BEGIN_MARK, [key], [me])))
    this.filled.beginEpoch(me)
    await fill(this.filled.expected)
    const ended = await Promise.all(places.map(({ key, server }) => connection.run(END_MARK, [key], [me, `${me} ${server}`])))
    if (ended.some((one) => one !== 1)) throw unavailable('It lost values while they were brought back.')
    return this.filled.expected
  }
}
