/**
 * Looks at the past of a key that go on while nobody waits: who asks gets what is there after a moment, and asks again for the rest. A look that
 * nobody asks for any more is given up.
 */
import type { Feature, Registry } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { HttpOptions } from '../options.ts'
import { fillPast, type PastRow, type PastValue } from './past-values.ts'

/** A page does not wait longer for what is slow. */
export const PATIENCE_MS = 2_000
const MOST_UNDER_WAY = 4
/** With those that are over and wait to be fetched. */
const MOST_KEPT = 8
/** Under way and not asked for. */
const FORGOTTEN_MS = 15_000
/** Over, and who asked for it has yet to come back. */
const KEPT_MS = 10_000

export interface PastLooks {
  /**
   * Features that are not in it are not computed yet.
   * @throws FabraError overloaded
   */
  look(features: readonly Feature[], row: Omit<PastRow, 'signal'>): Promise<ReadonlyMap<string, PastValue>>
}

interface Look {
  readonly registry: Registry
  readonly found: Map<string, PastValue>
  readonly done: Promise<unknown>
  readonly giveUp: () => void
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
      isOver: false,
      error: undefined,
      timer: undefined,
    }
    looks.set(id, look)
    return look
  }

  function letGoLater(id: string, look: Look): void {
    clearTimeout(look.timer)
    if (looks.get(id) !== look) return
    look.timer = setTimeout(() => forget(id), look.isOver ? KEPT_MS : FORGOTTEN_MS)
    look.timer.unref()
  }

  function forget(id: string): void {
    const look = looks.get(id)
    clearTimeout(look?.timer)
    look?.giveUp()
    looks.delete(id)
  }

  return {
    async look(features, row) {
      const id = JSON.stringify([row.entity.name, row.key.encoded, row.asOf])
      const known = looks.get(id)
      if (known && known.registry !== options.serving().registry) forget(id)
      const look = looks.get(id) ?? begin(id, features, row)
      letGoLater(id, look)
      await soon(look.done)
      // Told whole, it is begun anew for the next who asks: what is recorded late belongs to the past too.
      if (look.isOver && looks.get(id) === look) forget(id)
      if (look.error !== undefined) throw look.error
      return new Map(look.found)
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
