/** Values that leave Redis: compared with what was looked at in the moment in which they go, so that no newer write is lost. */
import type { Origin } from '../ports/offline-store.ts'
import type { OnlineSweep, SweptValue } from '../ports/online-sweep.ts'
import { FENCE_FIELD, RECORD } from './format/record.ts'
import { REMOVE } from './format/scripts.ts'
import type { RedisConnection } from './redis.ts'
import { unavailable } from './socket/unavailable.ts'

const KEYS_A_LOT = 200
/** Redis answers nobody else while a script runs. */
const REMOVALS_A_SCRIPT = 100
const PREFIX = 'fabra:{'
const UNIT = '\x1f'
const ORIGINS: Readonly<Record<string, Origin>> = { c: 'computed', p: 'pushed', b: 'backfill' }

interface RecordLocation {
  readonly hash: string
  readonly bucket: string
  readonly record: string
}

/** In a cluster its masters are looked through one after the other. What moves to another meanwhile is seen the next time. */
export function createRedisOnlineSweep(redis: RedisConnection): OnlineSweep {
  return {
    async lot(from, judge) {
      const { master, cursor } = positionOf(from, redis.masters())
      const scan = await redis.askAt(master, 'SCAN', cursor, 'MATCH', `${PREFIX}*`, 'COUNT', String(KEYS_A_LOT))
      const [next, hashes] = scan as [string, string[]]
      const places = new Map<SweptValue, RecordLocation>()
      const texts = (await Promise.all(hashes.map((hash) => redis.send('HGETALL', hash)))) as string[][]
      for (const [i, hash] of hashes.entries()) for (const [value, place] of valuesOf(hash, texts[i] ?? [])) places.set(value, place)
      const going = (places.size === 0 ? [] : await judge([...places.keys()])).flatMap((value) => places.get(value) ?? [])
      return { removed: await remove(redis, going), next: positionAfter({ master, cursor: next }, redis.masters()) }
    },
  }
}

/** Of a sweep: a master, and how far it has come there. */
interface SweepPosition {
  readonly master: string
  readonly cursor: string
}

/** One that has gone is passed over. @param masters In an order that stays. */
function positionOf(from: string | null, masters: readonly string[]): SweepPosition {
  const first = masters[0]
  if (first === undefined) throw unavailable('No node of the cluster is known.')
  if (from === null) return { master: first, cursor: '0' }
  const [cursor = '0', master = ''] = from.split(' ')
  if (masters.includes(master)) return { master, cursor }
  return { master: masters.find((name) => name > master) ?? first, cursor: '0' }
}

function positionAfter({ master, cursor }: SweepPosition, masters: readonly string[]): string | null {
  if (cursor !== '0') return `${cursor} ${master}`
  const next = masters.find((name) => name > master)
  return next === undefined ? null : `0 ${next}`
}

async function remove(redis: RedisConnection, going: readonly RecordLocation[]): Promise<number> {
  const run = async (some: readonly RecordLocation[]) => {
    const args = some.flatMap(({ bucket, record }) => [bucket, record])
    const keys = some.map(({ hash }) => hash)
    return Number(await redis.run(REMOVE, keys, args))
  }
  // In a cluster a script has the keys of one slot alone.
  if (!redis.spansSlots) {
    const counts = await Promise.all([...Map.groupBy(going, ({ hash }) => hash).values()].map(run))
    return counts.reduce((sum, count) => sum + count, 0)
  }
  let removed = 0
  for (let at = 0; at < going.length; at += REMOVALS_A_SCRIPT) removed += await run(going.slice(at, at + REMOVALS_A_SCRIPT))
  return removed
}

/** @param fields Names and texts by turns. */
function* valuesOf(hash: string, fields: readonly string[]): Generator<[SweptValue, RecordLocation]> {
  const name = hash.slice(PREFIX.length, -1)
  const colon = name.indexOf(':')
  const [entity, key] = [name.slice(0, colon), name.slice(colon + 1)]
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [bucket = '', text = ''] = fields.slice(i, i + 2)
    if (bucket === FENCE_FIELD) continue
    for (const record of text.split(RECORD).slice(1)) {
      const [field = '', eventAt, lag, , origin = ''] = record.split(UNIT)
      const availableAt = Number(eventAt) + Number(lag)
      const known = ORIGINS[origin]
      // What is not understood stays.
      if (known === undefined || !Number.isFinite(availableAt)) continue
      yield [
        { entity, key, field, availableAt, origin: known },
        { hash, bucket, record: `${RECORD}${record}` },
      ]
    }
  }
}
