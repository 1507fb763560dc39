/** How much of its `maxmemory` Redis uses, asked every second: what is told before writes are refused can be mended before. */
import type { RedisConnection } from './redis.ts'

const LOOK_EVERY_MS = 1_000
const NEARLY_FULL = 0.8

export interface MemoryWatch {
  /** 0 to 1, and beyond; null: there is no limit, or it is not known. In a cluster that of the fullest server. */
  share(): number | null
  /** What `/ready` says while it is nearly full. */
  warning(): string | undefined
  stop(): void
}

export function createMemoryWatch(redis: Pick<RedisConnection, 'masters' | 'askAt'>): MemoryWatch {
  let share: number | null = null
  let isAsking = false
  const look = async () => {
    if (isAsking) return
    isAsking = true
    try {
      const shares = await Promise.all(redis.masters().map(async (master) => shareIn(String(await redis.askAt(master, 'INFO', 'memory')))))
      share = shares.reduce((most, one) => (one === null ? most : Math.max(most ?? 0, one)), null)
    } catch {
      share = null
    }
    isAsking = false
  }
  void look()
  const timer = setInterval(look, LOOK_EVERY_MS)
  timer.unref()
  return {
    share: () => share,
    warning: () =>
      share === null || share < NEARLY_FULL
        ? undefined
        : `ok, but ${Math.round(share * 100)} % of its maxmemory is used: it refuses writes when it is full`,
    stop: () => clearInterval(timer),
  }
}

function shareIn(info: string): number | null {
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const limit = field('maxmemory')
  return limit === 0 ? null : field('used_memory') / limit
}
