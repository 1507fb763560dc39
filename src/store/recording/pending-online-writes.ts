/**
 * Values that history has and the online store lacks, because it could not be reached when they were recorded.
 *
 * They are kept here, the newest of each key, and written as soon as the store is back. That they are owed is noted beside history before
 * anyone is told that they are recorded: should this process die first, the next one fills the store from history. Where too many are
 * owed, only the features are remembered, and filled from history likewise.
 */
import type { Clock } from '../../clock.ts'
import { isUnavailable } from '../../errors.ts'
import type { Erasure } from '../ports/erasure.ts'
import type { OfflineStore } from '../ports/offline-store.ts'
import type { OnlineStore, StoredValue, StoredWrite } from '../ports/online-store.ts'

const MAX_OWED = 100_000

export interface OwedWrites {
  /** Resolves when the debt is noted beside history. @throws FabraError store_unavailable */
  add(writes: readonly StoredWrite[]): Promise<void>
  /** History has forgotten the key, the online store has not. Resolves when the debt is noted. @throws FabraError store_unavailable */
  addFence(erasure: Erasure): Promise<void>
  /**
   * Write what is owed.
   * @param fill Brings all of a feature's newest values from history to the online store.
   * @returns the keys that have another value now, by `name@fingerprint`; `all` where they were filled.
   * @throws FabraError store_unavailable: all of it is still owed.
   */
  pay(fill: (fields: readonly string[]) => Promise<void>): Promise<ReadonlyMap<string, readonly string[] | 'all'>>
  /** Of this process, in the notes. */
  readonly writer: string
}

export interface OwedWritesOptions {
  readonly online: OnlineStore
  readonly offline: OfflineStore
  readonly clock: Clock
  /** Of this process, among all. */
  readonly writer: string
  /** Default 100,000. */
  readonly maxOwed?: number
}

export function createOwedWrites({ online, offline, clock, writer, maxOwed = MAX_OWED }: OwedWritesOptions): OwedWrites {
  let owed = new Map<string, StoredWrite>()
  let fields = new Set<string>()
  let erasures: Erasure[] = []
  let noted: Promise<void> | undefined
  /** The last note is being taken back: another one must not go with it. */
  let settling: Promise<unknown> = Promise.resolve()
  const idOf = ({ entity, key, field }: StoredWrite) => `${entity}\0${field}\0${key}`

  const keep = (writes: Iterable<StoredWrite>) => {
    for (const write of writes) {
      if (fields.has(write.field)) continue
      const known = owed.get(idOf(write))
      if (!known || isNewer(write.value, known.value)) owed.set(idOf(write), write)
    }
    if (owed.size <= maxOwed) return
    for (const { field } of owed.values()) fields.add(field)
    owed = new Map()
  }

  const note = () => {
    noted ??= settling
      .then(() => offline.owe(writer, clock.now()))
      .catch((error: unknown) => {
        noted = undefined
        throw error
      })
    return noted
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
    async addFence(erasure) {
      doubt()
      erasures.push(erasure)
      await note()
    },
    async pay(fill) {
      if (!noted && owed.size === 0 && fields.size === 0 && erasures.length === 0) return new Map()
      const [values, toFill, toForget] = [owed, fields, erasures]
      owed = new Map()
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
        if (isUnavailable(error)) await offline.owe(writer, clock.now()).catch(() => undefined)
        throw error
      }
      // What came meanwhile is owed still.
      if (owed.size === 0 && fields.size === 0 && erasures.length === 0) {
        noted = undefined
        online.doubts.set('owed', null)
        const forgetting = offline.forgetDebts([writer])
        settling = forgetting.catch(() => undefined)
        await forgetting
      }
      const paid = new Map<string, string[] | 'all'>(
        [...Map.groupBy(values.values(), ({ field }) => field)].map(([field, of]) => [field, of.map(({ key }) => key)]),
      )
      for (const field of toFill) paid.set(field, 'all')
      return paid
    },
  }
}

function isNewer(value: StoredValue, known: StoredValue): boolean {
  if (value.eventAt !== known.eventAt) return value.eventAt > known.eventAt
  if (value.availableAt !== known.availableAt) return value.availableAt > known.availableAt
  return value.token >= known.token
}
