import type { OfflineStore, PendingNote } from '../../ports/offline-store.ts'
import { SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import { FORGET_PENDING_NOTES, OWE, READ_PENDING_NOTES } from './history-sql.ts'

type Run = (text: string, parameters: readonly SqlValue[]) => Promise<{ readonly rows: readonly (readonly SqlValue[])[] }>

/**
 * What processes have yet to bring to the online store. It is looked up several times a second, and nobody but this process writes to the file:
 * what was read holds until something is written.
 * @param file By which those who write to one file know of each other.
 */
export function createPendingNotes(
  file: object,
  { read, write }: { readonly read: Run; readonly write: Run },
): Pick<OfflineStore, 'notePending' | 'pendingNotes' | 'forgetPendingNotes'> {
  const book = bookOf(file)
  const change = async (text: string, parameters: readonly SqlValue[]) => {
    book.writes++
    book.notes = undefined
    try {
      await write(text, parameters)
    } finally {
      // What was read while it was written may be either.
      book.writes++
      book.notes = undefined
    }
  }
  return {
    notePending: (writer, at) => change(OWE, [writer, new SqlTimestamp(at)]),
    async pendingNotes() {
      if (book.notes) return book.notes
      const { writes } = book
      const { rows } = await read(READ_PENDING_NOTES, [])
      const notes = rows.map(([writer, at]) => ({ writer: String(writer), at: micros(at) }))
      if (writes === book.writes) book.notes = notes
      return notes
    },
    async forgetPendingNotes(writers, before) {
      if (writers.length > 0) await change(FORGET_PENDING_NOTES, [writers, before === undefined ? null : new SqlTimestamp(before)])
    },
  }
}

interface Book {
  notes: readonly PendingNote[] | undefined
  writes: number
}

const books = new WeakMap<object, Book>()

function bookOf(file: object): Book {
  const known = books.get(file)
  if (known) return known
  const book = { notes: undefined, writes: 0 }
  books.set(file, book)
  return book
}

export function micros(time: SqlValue | undefined): number {
  return time instanceof SqlTimestamp ? time.micros : Number.NaN
}
