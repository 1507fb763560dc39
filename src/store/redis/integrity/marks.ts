/**
 * Whether Redis still holds what it held is known of every single read.
 *
 * Each place (the server; in a cluster every master) has a hash whose field `mark` says in which epoch all that history knows was brought there,
 * and the run id of the server that held it then. It goes with everything else, and a server that starts again, with what it had on disk or with
 * nothing, has another run id, as has a replica that takes over. Beside it the field `probes` counts up several times a second, and goes back when
 * a server takes over the older data of another one. Every batch of reads asks for both last, on the same connection: rows count where the mark says
 * what this process has seen to be true of this very connection, and the count is no smaller than before. Redis answers in order, so it cannot
 * have been emptied before.
 */
import type { Redis } from 'ioredis'

/** In a cluster a tag follows that leads to the node. */
export const MARK_KEY = 'fabra:intact'
export const MARK_FIELDS = ['mark', 'probes'] as const

/** What was last seen of a place. */
export interface Belief {
  readonly epoch: string
  readonly runId: string
  probes: number
  row: Buffer
}

export class Marks {
  private readonly believed = new Map<string, Belief>()
  private readonly last = new Map<string, Belief>()
  private readonly onDoubt: () => void

  /** @param onDoubt Told when a mark does not say any more what it said. */
  constructor(onDoubt: () => void) {
    this.onDoubt = onDoubt
  }

  /** What is believed of a place as a read is sent; undefined: whatever its mark says, the read is not sure. */
  of(place: string): Belief | undefined {
    return this.believed.get(place)
  }

  believe(place: string, belief: Belief): void {
    this.believed.set(place, belief)
    this.last.set(place, belief)
  }

  /** Whether a mark is older than what was believed last. */
  hasGoneBack(place: string, { epoch, probes }: Belief): boolean {
    const last = this.last.get(place)
    return last?.epoch === epoch && probes < last.probes
  }

  /** @param belief When the read was sent. @returns whether what it brought is all there is. */
  check(place: string, belief: Belief | undefined, row: Buffer | undefined): boolean {
    if (belief === undefined) return false
    if (row !== undefined && (belief.row.equals(row) || isStillTrue(belief, row))) return true
    if (this.believed.get(place) === belief) this.forget(place)
    return false
  }

  /** Of one place, or all. */
  forget(place?: string): void {
    const count = this.believed.size
    if (place === undefined) this.believed.clear()
    else this.believed.delete(place)
    if (this.believed.size < count) this.onDoubt()
  }
}

/** Somebody has probed since. */
function isStillTrue(belief: Belief, row: Buffer): boolean {
  const now = readMark(row)
  if (!now || now.epoch !== belief.epoch || now.runId !== belief.runId || now.probes < belief.probes) return false
  belief.row = now.row
  belief.probes = now.probes
  return true
}

/** Undefined: there is no mark. @param row As Redis answered, with the lengths of its texts or without. */
export function readMark(row: Buffer): Belief | undefined {
  const [, epoch, runId = '', probes = '0'] = /([\da-f-]{36}) (\w*)\r\n(?:\$\d+\r\n)?(\d+)?/.exec(row.toString()) ?? []
  return epoch === undefined ? undefined : { epoch, runId, probes: Number(probes), row: Buffer.from(row) }
}

/**
 * Which server a connection leads to: its run id, or an empty text where the user may not ask. Selects the database first: commands of a
 * connection on which that was refused would go to database 0.
 * @throws what Redis says of the database
 */
export async function identify(client: Redis, database: number): Promise<string> {
  const [selected, info] = await Promise.allSettled([database === 0 ? undefined : client.call('SELECT', database), client.info('server')])
  if (selected.status === 'rejected') throw selected.reason
  return info.status === 'fulfilled' ? (/^run_id:(\w+)/m.exec(info.value)?.[1] ?? '') : ''
}
