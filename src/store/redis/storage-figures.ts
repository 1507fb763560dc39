/** How much Redis holds: by its own count, and by feature from a sample of keys. */
import type { OnlineFigures, OnlineSize } from '../ports/storage-figures.ts'
import { RECORD } from './format/record.ts'
import type { RedisConnection } from './redis.ts'

const SAMPLE_KEYS = 200
/** Asked at the same time. */
const AT_ONCE = 20

export function createRedisFigures(redis: RedisConnection): OnlineFigures {
  return {
    async look() {
      const masters = await Promise.all(redis.masters().map((master) => sizeOf(redis, master)))
      const bytes = masters.reduce((sum, master) => sum + master.bytes, 0)
      const keys = masters.reduce((sum, master) => sum + master.keys, 0)
      // Where one of them has no limit, neither have they together.
      const maxBytes = masters.every((master) => master.maxBytes > 0) ? masters.reduce((sum, master) => sum + master.maxBytes, 0) : null
      const features = new Map<string, number>()
      for (const { master, keys: count } of masters)
        for (const [feature, size] of await byFeature(redis, master, count)) features.set(feature, (features.get(feature) ?? 0) + size)
      return { bytes, maxBytes, keys, features }
    },
  }
}

async function sizeOf(redis: RedisConnection, master: string) {
  const info = String(await redis.askAt(master, 'INFO'))
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return { master, bytes: field('used_memory'), maxBytes: field('maxmemory'), keys: Number(await redis.askAt(master, 'DBSIZE')) }
}

/** What a key takes is shared out by the texts of its features. Keys are drawn by chance, each perhaps again. */
async function byFeature(redis: RedisConnection, master: string, keys: number): Promise<OnlineSize['features']> {
  const sums = new Map<string, number>()
  const count = keys === 0 ? 0 : SAMPLE_KEYS
  for (let from = 0; from < count; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, () => addOne(redis, master, sums)))
  return new Map([...sums].map(([feature, sum]) => [feature, Math.round((sum / count) * keys)]))
}

async function addOne(redis: RedisConnection, master: string, sums: Map<string, number>): Promise<void> {
  const key = await redis.askAt(master, 'RANDOMKEY')
  if (typeof key !== 'string' || !key.startsWith('fabra:{')) return
  const [bytes, texts] = await Promise.all([redis.send('MEMORY', 'USAGE', key), redis.send('HVALS', key)]).catch(() => [0, []])
  if (!Array.isArray(texts)) return
  const records = texts.flatMap((text) => String(text).split(RECORD).slice(1))
  const whole = records.reduce((sum, record) => sum + record.length, 0)
  for (const record of records) {
    const feature = record.slice(0, record.indexOf('@'))
    sums.set(feature, (sums.get(feature) ?? 0) + (Number(bytes) * record.length) / whole)
  }
}
