/** Whether Redis is whole and takes writes, and bringing it back to that. How a read knows is told in marks.ts. */

import { isUnavailable } from '../../../errors.ts'
import type { Doubts } from '../../ports/doubts.ts'
import { FENCES_FIELD, type OnlineStore } from '../../ports/online-store.ts'
import { filledKey } from '../format/record.ts'
import { BEGIN_MARK, END_MARK, EXTEND_CLAIM, PROBE, RELEASE_CLAIM } from '../format/scripts.ts'
import type { RedisConnection } from '../redis.ts'
import type { Place } from '../socket/servers.ts'
import { isRefusal, unavailable } from '../socket/unavailable.ts'
import { type Belief, MARK_FIELDS, readMark } from './marks.ts'

/** Who brings everything back. */
const RESTORER = 'fabra:restorer'
const RESTORER_MS = 10_000
const RENEW_EVERY_MS = 2_500
/** A probe that takes longer tells that writes are not taken: that is to be known within a second. */
const PROBE_MS = 450
/** What fields were filled in before there were epochs. */
const NO_EPOCH = '1'

/** Nobody needs to be told of it: it is over in a moment, or there is more to tell. */
export const NOT_LOOKED_AT = 'may have lost values: history is asked until that is known'
const INCOMPLETE = 'lacks values: history is asked until they are brought back'
const LATE = 'does not take writes in time'

export interface Integrity extends Pick<OnlineStore, 'look' | 'restore' | 'filled' | 'markFilled'> {
  /** A write that is refused is known to be at once. */
  written<T>(write: Promise<T>): Promise<T>
}

export function createIntegrity(connection: RedisConnection, doubts: Doubts): Integrity {
  let fields: readonly string[] = []
  /** The one in which fields are filled. */
  let epoch = NO_EPOCH
  /** Of servers that do not say which they are: the epoch that the connection began with. What its mark says may have been true before only. */
  let unproved: { readonly connections: number; readonly epoch: string } | undefined
  /** Of these it is known that they were filled in the epoch. */
  let proved: { readonly epoch: string; readonly fields: ReadonlySet<string> } | undefined
  let looking: Promise<void> | undefined
  doubts.set('lost', NOT_LOOKED_AT)

  connection.onNews(() => {
    if (!doubts.has('lost')) doubts.set('lost', NOT_LOOKED_AT)
    look().catch(() => undefined)
  })

  function look(): Promise<void> {
    looking ??= lookOnce().finally(() => {
      looking = undefined
    })
    return looking
  }

  /** One that began before counts for nothing. */
  async function lookAnew(): Promise<void> {
    await looking?.catch(() => undefined)
    return look()
  }

  async function lookOnce(): Promise<void> {
    const looks = await Promise.allSettled([lookAtMarks(), probe()])
    const failures = looks.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    const refusal = failures.map(refusalOf).find((one) => one !== undefined)
    if (refusal !== undefined) doubts.set('refused', refusal)
    else if (failures.length === 0) doubts.set('refused', looks[1]?.status === 'fulfilled' && looks[1].value === 'late' ? LATE : null)
    if (failures.length > 0) throw failures[0]
  }

  async function lookAtMarks(): Promise<void> {
    const places = connection.places()
    if (places.length === 0) throw unavailable('There is no connection.')
    if (!doubts.has('lost') && fields.every(isProved) && places.every(({ key }) => connection.marks.of(key) !== undefined)) {
      // The read itself compares.
      await connection.readHashes(
        places.map(({ key }) => key),
        MARK_FIELDS,
        () => undefined,
      )
      return
    }
    const why = await whatIsWrong(places)
    doubts.set('lost', why ?? null)
  }

  function isProved(field: string): boolean {
    return proved?.fields.has(field) === true
  }

  /** @returns undefined: all is there, and the marks are believed. */
  async function whatIsWrong(places: readonly Place[]): Promise<string | undefined> {
    const seen = await readMarks(places)
    const first = seen?.[0]
    if (!seen || !first) return INCOMPLETE
    if (proved?.epoch !== first.epoch || !fields.every(isProved)) {
      epoch = first.epoch
      const isFilled = await filled(fields)
      if (!isFilled.every(Boolean)) return INCOMPLETE
      proved = { epoch: first.epoch, fields: new Set(fields) }
    }
    for (const [i, belief] of seen.entries()) connection.marks.believe((places[i] as Place).key, belief)
    return undefined
  }

  /** @returns the marks as they are, where they say one epoch and their servers; else undefined. */
  async function readMarks(places: readonly Place[]): Promise<readonly Belief[] | undefined> {
    const rows = await connection.readHashes(
      places.map(({ key }) => key),
      MARK_FIELDS,
      (answers, from) => places.map((_, i) => Buffer.from(answers[from + i] as Buffer)),
    )
    const seen: Belief[] = []
    for (const [i, place] of places.entries()) {
      const mark = readMark(rows[i] as Buffer)
      if (!mark || place.server === undefined || mark.runId !== place.server) return undefined
      if (connection.marks.hasGoneBack(place.key, mark)) return undefined
      if (seen[0] && seen[0].epoch !== mark.epoch) return undefined
      seen.push(mark)
    }
    return seen[0] && places.some(({ server }) => server === '') && isUnproved(seen[0].epoch) ? undefined : seen
  }

  function isUnproved(current: string): boolean {
    const connections = connection.connections()
    if (unproved?.connections !== connections) unproved = { connections, epoch: current }
    return unproved.epoch === current
  }

  async function probe(): Promise<'late' | undefined> {
    const over = Promise.withResolvers<'late'>()
    const timer = setTimeout(over.resolve, PROBE_MS, 'late')
    const probes = Promise.all(connection.places().map(({ key }) => connection.runAtOnce(PROBE, [key], [])))
    try {
      return await Promise.race([probes.then(() => undefined), over.promise])
    } finally {
      clearTimeout(timer)
      probes.catch(() => undefined)
    }
  }

  async function filled(asked: readonly string[]): Promise<readonly boolean[]> {
    return Promise.all(asked.map(async (field) => (await connection.send('GET', filledKey(field))) === epoch))
  }

  async function restore(fill: (lost: readonly string[]) => Promise<void>): Promise<readonly string[] | undefined> {
    const me = crypto.randomUUID()
    if ((await connection.send('SET', RESTORER, me, 'NX', 'PX', RESTORER_MS)) === null) return undefined
    const keeping = setInterval(
      () => void connection.run(EXTEND_CLAIM, [RESTORER], [me, RESTORER_MS]).catch(() => undefined),
      RENEW_EVERY_MS,
    )
    keeping.unref()
    try {
      const seen = await readMarks(connection.places())
      const lost = seen?.[0] ? await fillRest(seen[0].epoch, fill) : await fillAnew(me, fill)
      await lookAnew()
      return lost
    } finally {
      clearInterval(keeping)
      connection.run(RELEASE_CLAIM, [RESTORER], [me]).catch(() => undefined)
    }
  }

  /** Another process brought back what it knows; fields of ours may be missing. */
  async function fillRest(current: string, fill: (lost: readonly string[]) => Promise<void>): Promise<readonly string[]> {
    epoch = current
    const isFilled = await filled(fields)
    const lost = fields.filter((_, i) => !isFilled[i])
    await fill(lost)
    return lost
  }

  async function fillAnew(me: string, fill: (lost: readonly string[]) => Promise<void>): Promise<readonly string[]> {
    const places = connection.places().map(({ key, server }) => ({ key, server: connection.writesTo() ?? server }))
    if (places.some(({ server }) => server === undefined)) throw unavailable('There is no connection.')
    await Promise.all(places.map(({ key }) => connection.run(BEGIN_MARK, [key], [me])))
    epoch = me
    proved = undefined
    await fill(fields)
    const ended = await Promise.all(places.map(({ key, server }) => connection.run(END_MARK, [key], [me, `${me} ${server}`])))
    if (ended.some((one) => one !== 1)) throw unavailable('It lost values while they were brought back.')
    return fields
  }

  return {
    async look(expected) {
      if (expected === undefined) return look()
      fields = [...new Set([FENCES_FIELD, ...expected])]
      await lookAnew()
    },
    restore,
    filled,
    async markFilled(field) {
      await connection.send('SET', filledKey(field), epoch)
    },
    async written(write) {
      try {
        return await write
      } catch (error) {
        const refusal = refusalOf(error)
        if (refusal !== undefined) doubts.set('refused', refusal)
        throw error
      }
    },
  }
}

/** What Redis said, where it said no. */
function refusalOf(error: unknown): string | undefined {
  if (!isUnavailable(error) || !(error instanceof Error) || !(error.cause instanceof Error)) return undefined
  return isRefusal(error.cause.message) ? error.cause.message : undefined
}
