/**
 * Values that history has and the online store lacks, because it could not be reached when they were recorded.
 *
 * They are kept here, the newest of each key, and written as soon as the store is back. That they are owed is noted beside history before
 * anyone is told that they are recorded: should this process die first, the next one fills the store from history. Where too many are
 * owed, only the features are remembered, and filled from history likewise.
 */
import type { Clock, Micros } from '../../clock.ts'
import { isUnavailable } from '../../errors.ts'
import type { Erasure } from '../ports/erasure.ts'
import type { OfflineStore } from '../ports/offline-store.ts'
import type { OnlineStore, StoredWrite } from '../ports/online-store.ts'
import { replaces } from '../ports/value-order.ts'

const MAX_PENDING = 100_000
/** What is owed later is noted anew: of a writer that has not told for long others bring all there is by then, and forget the note. */
const NOTE_HOLDS: Micros = 10_000_000

export interface PendingOnlineWrites {
  /** Resolves when that is noted beside history. @throws FabraError store_unavailable */
  add(writes: readonly StoredWrite[]): Promise<void>
  /** History has forgotten the key, the online store has not. Resolves when that is noted. @throws FabraError store_unavailable */
  addErasure(erasure: Erasure): Promise<void>
  /**
   * Write what is owed.
   * @param fill Brings all of a feature's newest values from history to the online store.
   * @returns the keys that have another value now, by `name@fingerprint`; `all` where they were filled.
   * @throws FabraError store_unavailable: all of it is still owed.
   */
  replay(fill: (fields: readonly string[]) => Promise<void>): Promise<ReadonlyMap<string, readonly string[] | 'all'>>
  /** Of this process, in the notes. */
  readonly writer: string
}

export interface PendingOnlineWritesOptions {
  readonly online: OnlineStore
  readonly offline: OfflineStore
  readonly clock: Clock
  /** Of this process, among all. */
  readonly writer: string
  /** Default 100,000. */
  readonly maxPending?: number
}

export function createPendingOnlineWrites({
  online,
  offline,
  clock,
  writer,
  maxPending = MAX_PENDING,
}: PendingOnlineWritesOptions): PendingOnlineWrites {
  let pending = new Map<string, StoredWrite>()
  let fields = new Set<string>()
  let erasures: Erasure[] = []
  let noted: Promise<void> | undefined
  let notedAt: Micros = 0
  /** The last note is being taken back: another one must not go with it. */
  let settling: Promise<unknown> = Promise.resolve()
  const idOf = ({ entity, key, field }: StoredWrite) => `${entity}\0${field}\0${key}`

  const keep = (writes: Iterable<StoredWrite>) => {
    for (const write of writes) {
      if (fields.has(write.field)) continue
      const pendingWrite = pending.get(idOf(write))
      if (!pendingWrite || replaces(write.value, pendingWrite.value)) pending.set(idOf(write), write)
    }
    if (pending.size <= maxPending) return
    for (const { field } of pending.values()) fields.add(field)
    pending = new Map()
  }

  const note = () => {
    const now = clock.now()
    if (noted && now - notedAt < NOTE_HOLDS) return noted
    notedAt = now
    const noting = settling
      .then(() => offline.notePending(writer, clock.now()))
      .catch((error: unknown) => {
        if (noted === noting) noted = undefined
        throw error
      })
    noted = noting
    return noting
  }

  // At once: what is read from now on is not all there is.
  const doubt = () => online.doubts.set('owed', 'lacks what this process has recorded: history is asked until it is there')

  return {
    writer,
    async add(writes) {
      doubt()
      keep(writes)
      await note()
    },
    async addErasure(erasure) {
      doubt()
      erasures.push(erasure)
      await note()
    },
    async replay(fill) {
      if (!noted && pending.size === 0 && fields.size === 0 && erasures.length === 0) return new Map()
      const [values, toFill, toForget] = [pending, fields, erasures]
      pending = new Map()
      fields = new Set()
      erasures = []
      try {
        for (const erasure of toForget) await online.forget(erasure)
        if (values.size > 0) await online.write([...values.values()].map(({ after: _, ...write }) => write))
        if (toFill.size > 0) await fill([...toFill])
      } catch (error) {
        for (const field of toFill) fields.add(field)
        erasures = [...toForget, ...erasures]
        keep(values.values())
        // Told again, so that nobody takes this process for dead.
        if (isUnavailable(error)) await offline.notePending(writer, clock.now()).catch(() => undefined)
        throw error
      }
      // What came meanwhile is owed still.
      if (pending.size === 0 && fields.size === 0 && erasures.length === 0) {
        noted = undefined
        online.doubts.set('owed', null)
        // Where no answer comes it may be done much later: it must not take what is noted from now on.
        const forgetting = offline.forgetPendingNotes([writer], clock.now() + 1)
        settling = forgetting.catch(() => undefined)
        await forgetting
      }
      const replayed = new Map<string, string[] | 'all'>(
        [...Map.groupBy(values.values(), ({ field }) => field)].map(([field, of]) => [field, of.map(({ key }) => key)]),
      )
      for (const field of toFill) replayed.set(field, 'all')
      return replayed
    },
  }
}
