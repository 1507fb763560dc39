import { ownDeadline } from '../connection/own-deadline.ts'
import type { Session } from '../connection/session.ts'
import type { SessionPool } from '../connection/session-pool.ts'
import { CATALOG, FIRST_MARK, markRows, raiseMark } from '../sql.ts'
import { fromKnown, type Mark, type OwnMark, writeMark } from './mark.ts'

/** The mark is written within a second of a write, and a start or a full machine may take some of that. */
const MARK_AFTER_MS = 400

/** Keeps the mark beside the file; see mark.ts. */
export interface Marking {
  /** The same pool; whoever has used it has written something. */
  noticing(pool: SessionPool): SessionPool
  /** Writes the last mark and stops. */
  close(): Promise<void>
}

/**
 * @param pool Whose session alone raises the number.
 * @param onProblem Told once in a row that the mark cannot be written. The database itself may be well.
 */
export function createMarking(file: string, known: OwnMark, pool: SessionPool, onProblem: (error: unknown) => void): Marking {
  let { n } = known
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<void> | undefined
  let isTold = false
  let closed = false

  const writeNext = async (session: Session) => {
    // A number is never used twice: a commit of unknown outcome may have used it.
    n += 1
    const at = new Date().toISOString()
    const { rows } = await session.repeat(markRows(CATALOG), [], ownDeadline())
    const [history = 0, sources = 0, keys = 0] = (rows[0] ?? []).map(Number)
    await session.repeat(raiseMark(CATALOG), [fromKnown({ id: known.id, n, at })], ownDeadline())
    writeMark(file, { id: known.id, n, at, rows: { history, sources, keys } })
  }
  const run = () => {
    timer = undefined
    running = pool
      .use(ownDeadline(), writeNext)
      .then(
        () => {
          isTold = false
        },
        (error: unknown) => {
          if (!isTold && !closed) onProblem(error)
          isTold = true
          schedule()
        },
      )
      .finally(() => {
        running = undefined
      })
  }
  const schedule = () => {
    if (closed || timer) return
    timer = setTimeout(run, MARK_AFTER_MS)
    timer.unref()
  }
  return {
    noticing: (noticed) => ({
      ...noticed,
      async use(options, work) {
        try {
          return await noticed.use(options, work)
        } finally {
          schedule()
        }
      },
    }),
    async close() {
      closed = true
      const isDue = timer !== undefined
      clearTimeout(timer)
      await running
      // A failure is the operator's to see at the next start, if there is one to see: what was marked before still holds.
      if (isDue) await pool.use(ownDeadline(), writeNext).catch(() => undefined)
    },
  }
}

/** A database without a number gets its first. @returns what it knows of itself from now on. */
export async function firstMark(file: string, session: Session, known: OwnMark | undefined, mark: Mark | undefined): Promise<OwnMark> {
  if (known) {
    if (mark?.n !== known.n || mark.id !== known.id) tryMark(file, { ...known, rows: null })
    return known
  }
  const first = { id: crypto.randomUUID(), n: 1, at: new Date().toISOString() }
  await session.read(FIRST_MARK, [fromKnown(first)], ownDeadline())
  tryMark(file, { ...first, rows: null })
  return first
}

/** Where it cannot be written, the first one that is due says so. */
function tryMark(file: string, mark: Mark): void {
  try {
    writeMark(file, mark)
  } catch {
    // See above.
  }
}
