/**
 * Looks at the past of a key that go on while nobody waits: who asks gets what is there after a moment, and asks again for the rest. A look that
 * nobody asks for any more is given up.
 */
import type { Feature, Registry } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { HttpOptions } from '../options.ts'
import { fillPast, type PastRow, type PastValue } from './past-values.ts'

/** A page does not wait longer for what is slow: what there is must be on it within a second. */
export const PATIENCE_MS = 600
const MOST_UNDER_WAY = 4
/** With those that are over and wait to be fetched. */
const MOST_KEPT = 8
/** Under way and not asked for. */
const FORGOTTEN_MS = 15_000
/** Over, and who asked for it has yet to come back. */
const KEPT_MS = 10_000

export interface PastLooks {
  /**
   * Values of features that are not in it are not computed yet.
   * @param besides What the page shows of that moment besides: found once, however often it is asked for the rest of the values.
   * @throws FabraError overloaded
   */
  look<T>(features: readonly Feature[], row: Omit<PastRow, 'signal'>, besides: Besides<T>): Promise<PastLook<T>>
}

export interface Besides<T> {
  /** What it is: another one is found anew. */
  readonly id: string
  readonly find: () => Promise<T>
}

export interface PastLook<T> {
  readonly values: ReadonlyMap<string, PastValue>
  readonly besides: T
}

interface Look {
  readonly registry: Registry
  readonly found: Map<string, PastValue>
  readonly done: Promise<unknown>
  readonly giveUp: () => void
  readonly besides: Map<string, Promise<unknown>>
  /** Requests that wait for it. */
  waiting: number
  isOver: boolean
  error: unknown
  timer: ReturnType<typeof setTimeout> | undefined
}

export function createPastLooks(options: HttpOptions): PastLooks {
  const looks = new Map<string, Look>()

  function begin(id: string, features: readonly Feature[], row: Omit<PastRow, 'signal'>): Look {
    const underWay = [...looks.values()].filter(({ isOver }) => !isOver).length
    if (underWay >= MOST_UNDER_WAY)
      throw new FabraError('overloaded', `${underWay} looks at the past are under way.`, { hint: 'Ask again in some seconds.' })
    for (const [old, { isOver }] of looks) if (isOver && looks.size >= MOST_KEPT) forget(old)
    const controller = new AbortController()
    const found = new Map<string, PastValue>()
    const work = fillPast(options, features, { ...row, signal: controller.signal }, found)
    const look: Look = {
      registry: options.serving().registry,
      found,
      done: work
        .catch((error: unknown) => {
          look.error = error
        })
        .finally(() => {
          look.isOver = true
          letGoLater(id, look)
        }),
      giveUp: () => controller.abort(),
      besides: new Map(),
      waiting: 0,
      isOver: false,
      error: undefined,
      timer: undefined,
    }
    looks.set(id, look)
    return look
  }

  function letGoLater(id: string, look: Look): void {
    clearTimeout(look.timer)
    if (looks.get(id) !== look || look.waiting > 0) return
    look.timer = setTimeout(() => forget(id), look.isOver ? KEPT_MS : FORGOTTEN_MS)
    look.timer.unref()
  }

  function forget(id: string): void {
    const look = looks.get(id)
    clearTimeout(look?.timer)
    look?.giveUp()
    looks.delete(id)
  }

  /** A page that cannot be told what is there besides is told so, and nothing is kept of it. */
  function besidesOf<T>({ besides }: Look, { id, find }: Besides<T>): Promise<T> {
    // Whoever gives an id gives what it stands for.
    const known = besides.get(id) as Promise<T> | undefined
    if (known) return known
    const found = find()
    besides.set(id, found)
    found.catch(() => besides.delete(id))
    return found
  }

  return {
    async look(features, row, wanted) {
      const id = JSON.stringify([row.entity.name, row.key.encoded, row.asOf])
      const known = looks.get(id)
      if (known && known.registry !== options.serving().registry) forget(id)
      const look = looks.get(id) ?? begin(id, features, row)
      look.waiting++
      clearTimeout(look.timer)
      try {
        const [besides] = await Promise.all([besidesOf(look, wanted), soon(look.done)])
        if (look.error !== undefined) throw look.error
        return { values: new Map(look.found), besides }
      } finally {
        look.waiting--
        // Told whole, it is begun anew for the next who asks: what is recorded late belongs to the past too.
        if (look.isOver && looks.get(id) === look) forget(id)
        else letGoLater(id, look)
      }
    },
  }
}

/** Resolves when the work has, at the latest when a page has waited long enough. */
export async function soon(work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, PATIENCE_MS)
  await Promise.race([work, promise])
  clearTimeout(timer)
}
