/**
 * Whether Redis still holds what it held is known of every single read.
 *
 * Each place (the server; in a cluster every master) has a hash whose field `mark` says in which epoch all that history knows was brought there,
 * and the run id of the server that held it then. It goes with everything else, and a server that starts again, with what it had on disk or
 * with nothing, has another run id, as has a replica that takes over. Every lot of reads asks for the mark last, on the same connection: rows count
 * where it says what this process has seen to be true of this very connection. Redis answers in order, so it cannot have been emptied before.
 */
import type { Redis } from 'ioredis'

/** In a cluster a tag follows that leads to the node. */
export const MARK_KEY = 'fabra:intact'
export const MARK_FIELD = 'mark'

export class Marks {
  private readonly believed = new Map<string, Buffer>()
  private readonly onDoubt: () => void

  /** @param onDoubt Told when a mark does not say any more what it said. */
  constructor(onDoubt: () => void) {
    this.onDoubt = onDoubt
  }

  /** What the mark of a place must say for a read that is sent now; undefined: whatever it says, it is not sure. */
  expected(place: string): Buffer | undefined {
    return this.believed.get(place)
  }

  believe(place: string, row: Buffer): void {
    if (!this.believed.get(place)?.equals(row)) this.believed.set(place, Buffer.from(row))
  }

  /** @returns whether it says what was expected when it was asked for. */
  check(place: string, expected: Buffer | undefined, row: Buffer | undefined): boolean {
    if (expected === undefined) return false
    if (row !== undefined && expected.equals(row)) return true
    if (this.believed.get(place) === expected) this.forget(place)
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

/** The texts of a mark, from its row; undefined: there is none. */
export function readMark(row: Buffer): { readonly epoch: string; readonly runId: string } | undefined {
  const [, epoch, runId = ''] = /([\da-f-]{36}) (\w*)\r\n$/.exec(row.toString()) ?? []
  return epoch === undefined ? undefined : { epoch, runId }
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
