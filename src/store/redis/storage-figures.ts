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
      const info = String(await redis.ask('INFO'))
      const field = (name: string) => new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]
      // One of several servers tells of itself alone.
      if (!redis.spansSlots) return { bytes: null, maxBytes: null, keys: null, features: new Map() }
      const bytes = Number(field('used_memory') ?? 0)
      const maxBytes = Number(field('maxmemory') ?? 0) || null
      const keys = Number(await redis.ask('DBSIZE'))
      return { bytes, maxBytes, keys, features: await byFeature(redis, keys) }
    },
  }
}

/** What a key takes is shared out by the texts of its features. Keys are drawn by chance, each perhaps again. */
async function byFeature(redis: RedisConnection, keys: number): Promise<OnlineSize['features']> {
  const sums = new Map<string, number>()
  const count = keys === 0 ? 0 : SAMPLE_KEYS
  for (let from = 0; from < count; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, () => addOne(redis, sums)))
  return new Map([...sums].map(([feature, sum]) => [feature, Math.round((sum / count) * keys)]))
}

async function addOne(redis: RedisConnection, sums: Map<string, number>): Promise<void> {
  const key = await redis.ask('RANDOMKEY')
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
