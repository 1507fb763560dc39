import type { SteeredClock } from '../../../clock.ts'
import type { Postgres } from './postgres.ts'

const READ_CLOCK = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8'
const LIMIT = { timeoutMs: 2_000, readOnly: true } as const
const AGAIN_MS = 10_000
/** The first question also connects, which says nothing of clocks. */
const FIRST_READS = 3

/**
 * Keeps a clock with the server's `clock_timestamp()`, by which the rows are timed: on another machine than ours it may be seconds apart. Asked now
 * and every ten seconds; while the server is away the clock goes on by itself.
 * @throws SqlError when the server cannot be reached now.
 */
export async function followPresent(postgres: Postgres, clock: SteeredClock): Promise<{ stop(): void }> {
  const ask = async () => {
    const sentAt = clock.machine()
    const { rows } = await postgres.run(READ_CLOCK, [], LIMIT)
    return Number(rows[0]?.[0]) - sentAt
  }
  const steer = async (count: number) => {
    const bounds: number[] = []
    for (let i = 0; i < count; i++) bounds.push(await ask())
    clock.steer(Math.min(...bounds))
  }
  await steer(FIRST_READS)
  // One slow answer says little: two are asked for each time.
  const timer = setInterval(() => void steer(2).catch(() => undefined), AGAIN_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
