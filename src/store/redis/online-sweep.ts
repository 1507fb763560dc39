/** Values that leave Redis: compared with what was looked at in the moment in which they go, so that no newer write is lost. */
import type { Origin } from '../ports/offline-store.ts'
import type { OnlineSweep, SweptValue } from '../ports/online-sweep.ts'
import { FENCE_FIELD, RECORD } from './format/record.ts'
import { REMOVE } from './format/scripts.ts'
import type { RedisConnection } from './redis.ts'

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

/** Null in a cluster, whose servers would have to be looked through one by one. */
export function createRedisOnlineSweep(redis: RedisConnection): OnlineSweep | null {
  if (!redis.spansSlots) return null
  return {
    async lot(from, judge) {
      const [next, hashes] = (await redis.ask('SCAN', from ?? '0', 'MATCH', `${PREFIX}*`, 'COUNT', String(KEYS_A_LOT))) as [
        string,
        string[],
      ]
      const places = new Map<SweptValue, RecordLocation>()
      const texts = (await Promise.all(hashes.map((hash) => redis.send('HGETALL', hash)))) as string[][]
      for (const [i, hash] of hashes.entries()) for (const [value, place] of valuesOf(hash, texts[i] ?? [])) places.set(value, place)
      const going = (places.size === 0 ? [] : await judge([...places.keys()])).flatMap((value) => places.get(value) ?? [])
      let removed = 0
      for (let at = 0; at < going.length; at += REMOVALS_A_SCRIPT) {
        const some = going.slice(at, at + REMOVALS_A_SCRIPT)
        const args = some.flatMap(({ bucket, record }) => [bucket, record])
        const keys = some.map(({ hash }) => hash)
        removed += Number(await redis.run(REMOVE, keys, args))
      }
      return { removed, next: next === '0' ? null : next }
    },
  }
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
