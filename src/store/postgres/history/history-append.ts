import { inSteps } from '../../../collections/yielding.ts'
import type { HistoryRow } from '../../ports/offline-store.ts'
import type { Parameter } from '../connection/postgres.ts'

/** Rows of one statement: enough to be quick, few enough that writing them down does not hold this thread. */
const STATEMENT_ROWS = 5_000
/** Of all processes: another number would be no lock between two versions of Fabra. */
const PUSH_LOCKS = 64

/** The parameters of `APPEND`, a statement's worth at a time. What rows of one write share is told once for all of them. */
export async function asArrays(rows: readonly HistoryRow[]): Promise<Parameter[][]> {
  const pieces: Parameter[][] = []
  for (let from = 0; from < rows.length; from += STATEMENT_ROWS) pieces.push(await asArray(rows.slice(from, from + STATEMENT_ROWS)))
  return pieces
}

async function asArray(rows: readonly HistoryRow[]): Promise<Parameter[]> {
  const writeOf: number[] = []
  const writes: HistoryRow[] = []
  await inSteps(rows, (row) => {
    const last = writes.at(-1)
    if (!last || !isSameWrite(row, last)) writes.push(row)
    writeOf.push(writes.length)
  })
  return [
    writeOf,
    rows.map((row) => row.entityKey),
    rows.map((row) => row.value),
    rows.map((row) => row.eventAt),
    rows.map((row) => row.seq),
    writes.map((write) => write.feature),
    writes.map((write) => write.fingerprint),
    writes.map((write) => write.availableAt),
    writes.map((write) => write.createdAt),
    writes.map((write) => write.origin),
    mayRepeat(rows),
  ]
}

/** Pushed rows, of each key and event time the first: those after it were decided knowing of it. */
function mayRepeat(rows: readonly HistoryRow[]): boolean[] {
  const seen = new Set<string>()
  return rows.map((row) => {
    if (row.origin !== 'pushed') return false
    const before = seen.size
    return seen.add(`${row.feature}@${row.fingerprint}\0${row.eventAt}\0${row.entityKey}`).size > before
  })
}

/** The parameters of `LOCK_PUSHED`. */
export function locksOf(rows: readonly HistoryRow[]): number[] {
  return [...new Set(rows.map((row) => Bun.hash.crc32(row.entityKey) % PUSH_LOCKS))]
}

/** The parameters of `REPEATED`. */
export function asPoints(rows: readonly HistoryRow[]): Parameter[] {
  return [
    rows.map((row) => row.feature),
    rows.map((row) => row.fingerprint),
    rows.map((row) => row.entityKey),
    rows.map((row) => row.eventAt),
    rows.map((row) => row.availableAt),
    rows.map((row) => row.seq),
  ]
}

function isSameWrite(a: HistoryRow, b: HistoryRow): boolean {
  return (
    a.feature === b.feature &&
    a.fingerprint === b.fingerprint &&
    a.origin === b.origin &&
    a.availableAt === b.availableAt &&
    a.createdAt === b.createdAt
  )
}
