import type { FigureStore } from '../ports/figure-store.ts'
import type { RedisConnection } from './redis.ts'

/** Minutes that are kept of each process. */
const MINUTES = 61
const KEPT_MS = 3_700_000
/** After which a process that told nothing is taken for gone. */
const GONE_MS = 20_000
/** More are not asked. */
const MOST_PROCESSES = 64

const PROCESSES = 'fabra:figures'

/**
 * One sorted set of processes, `fabra:figures`, by when they were last heard of; one hash a process, `fabra:figures:<id>`, with a field for each minute of
 * the last hour. It expires an hour after the process has told of itself. One text a process, `fabra:figures:<id>:now`, which expires within seconds.
 * @param id No other process's. @param nowMs Of processes that agree roughly.
 */
export function createRedisFigureStore(connection: RedisConnection, id: string, nowMs: () => number): FigureStore {
  const minutesOf = (process: string) => `${PROCESSES}:${process}`
  const nowOf = (process: string) => `${PROCESSES}:${process}:now`
  return {
    async tell(now, minute) {
      const at = nowMs()
      await connection.send('SET', nowOf(id), now, 'PX', GONE_MS)
      if (minute) {
        const field = minute.number % MINUTES
        await connection.send('HSET', minutesOf(id), field, `${minute.number} ${minute.text}`)
        await connection.send('PEXPIRE', minutesOf(id), KEPT_MS)
      }
      await connection.send('ZADD', PROCESSES, at, id)
      await connection.send('ZREMRANGEBYSCORE', PROCESSES, '-inf', at - KEPT_MS)
      await connection.send('PEXPIRE', PROCESSES, KEPT_MS)
    },
    async others() {
      const ids = (await connection.send('ZREVRANGE', PROCESSES, 0, MOST_PROCESSES)) as string[]
      const others = ids.filter((other) => other !== id)
      return Promise.all(others.map(async (other) => ({ id: other, now: (await connection.send('GET', nowOf(other))) as string | null })))
    },
    async minutes(process, numbers) {
      if (numbers.length === 0) return []
      const found = (await connection.send('HMGET', minutesOf(process), ...numbers.map((number) => number % MINUTES))) as (string | null)[]
      return found.map((text, i) => (text?.startsWith(`${numbers[i]} `) ? text.slice(text.indexOf(' ') + 1) : null))
    },
    async leave() {
      await connection.send('DEL', nowOf(id))
    },
  }
}
