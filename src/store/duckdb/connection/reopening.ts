/**
 * After a checkpoint that fails, on a full disk say, the engine takes no statement any more, not even to read (1.5: "Database has been invalidated
 * because checkpointing failed. Detach and reattach it"); a commit that fails in its middle has the same end. Nothing is lost by that: what was
 * committed is in the log beside the file. So the file is let go of and opened anew, again and again until that goes well, as a start does it.
 * Meanwhile whoever wants it is told that it cannot be reached.
 */
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { backoff } from '../../../collections/backoff.ts'
import { SqlError } from '../../ports/source-engine.ts'
import type { Engine, Pools } from './engine.ts'
import type { SessionPool } from './session-pool.ts'
import { invalidation } from './sql-errors.ts'

const PAUSE_MS = { first: 250, longest: 3_000 }
const SOON_MS = 10_000
/** Of this process, where the system shows them. */
const OPEN_FILES = '/proc/self/fd'

/** Pools over whichever engine is open just now. */
export interface Reopening extends Pools {
  /** Why the file cannot be used just now; null: it can. */
  lost(): string | null
  /** Opens nothing any more. @returns the engine that is open, where one is. */
  stop(): Promise<Engine | undefined>
}

export interface ReopeningOptions {
  readonly file: string
  readonly first: Engine
  /** @throws FabraError */
  readonly open: () => Promise<Engine>
  readonly onProblem: (message: string, cause: unknown) => void
}

export function createReopening({ file, first, open, onProblem }: ReopeningOptions): Reopening {
  let engine: Engine | undefined = first
  let why: string | null = null
  let stopped = false
  let openedAt = Number.NEGATIVE_INFINITY
  let inARow = 0
  let recovering: Promise<void> | undefined
  let wake: (() => void) | undefined

  const pause = async (ms: number) => {
    await new Promise<void>((resolve) => {
      wake = resolve
      setTimeout(resolve, ms).unref()
    })
  }
  const recover = async (invalid: Engine) => {
    await invalid.quiet()
    await invalid.close()
    // What has failed again so soon may fail once more.
    inARow = performance.now() - openedAt < SOON_MS ? inARow + 1 : 0
    if (inARow > 0) await pause(backoff(inARow, PAUSE_MS))
    for (let failures = 0; !stopped; ) {
      try {
        checkFree(file)
        engine = await open()
        why = null
        openedAt = performance.now()
        onProblem('The database was opened again: nothing that was committed is lost.', undefined)
        return
      } catch (error) {
        if (++failures === 1) onProblem('The database cannot be opened again yet; it is tried until it can.', error)
        await pause(backoff(failures, PAUSE_MS))
      }
    }
  }
  const look = (error: unknown) => {
    const invalid = engine
    const said = invalidation(error)
    // What is only in memory is gone.
    if (said === undefined || !invalid || stopped || file === ':memory:') return
    engine = undefined
    why = said
    onProblem('The engine has let the database go: it could not write. It is opened again.', error)
    recovering = recover(invalid).finally(() => {
      recovering = undefined
    })
  }
  const current = (which: keyof Pools): SessionPool => ({
    async use(options, work) {
      if (!engine) throw new SqlError('unavailable', `The database is being opened again: ${why ?? 'it is closing'}.`, null)
      let met: unknown
      try {
        return await engine[which].use(options, async (session, left) => {
          const result = await work(session, left)
          met = session.invalidated()
          return result
        })
      } catch (error) {
        look(error)
        throw error
      } finally {
        if (met !== undefined) look(met)
      }
    },
    drain: async () => engine?.[which].drain(),
  })
  return {
    readers: current('readers'),
    history: current('history'),
    loader: current('loader'),
    lost: () => why,
    async stop() {
      stopped = true
      wake?.()
      await recovering
      return engine
    },
  }
}

/** Two engines over one file would lose what is written. A result that nobody has read to its end holds the old one until it is collected. */
function checkFree(file: string): void {
  if (!existsSync(OPEN_FILES)) return
  if (!isOpen(file)) return
  Bun.gc(true)
  if (isOpen(file)) throw new Error('This process still has the file open: some result is being read.')
}

function isOpen(file: string): boolean {
  return readdirSync(OPEN_FILES).some((one) => {
    try {
      return readlinkSync(`${OPEN_FILES}/${one}`) === file
    } catch {
      // Closed meanwhile.
      return false
    }
  })
}
