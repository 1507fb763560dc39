import { RedisClient, SQL } from 'bun'

const EVERY_MS = 200
/** An idle machine answers in one. */
const STALL_MS = 250
/** Of what waited then, the last waits so long: the stores' deadlines are seconds. */
const AFTER_MS = 5_000

/**
 * When the machine stood still: this process, PostgreSQL or Redis got no turn. What servers refuse then for want of time, they refuse because
 * others have the processor, and not because of their versions.
 */
export class Stalls {
  private readonly stalls: { readonly from: number; readonly to: number }[] = []
  private readonly sql: SQL
  private readonly redis: RedisClient
  private isOver = false
  private readonly looking: Promise<unknown>

  constructor(postgresUrl: string, redisUrl: string) {
    this.sql = new SQL(postgresUrl, { max: 1 })
    this.redis = new RedisClient(redisUrl)
    this.looking = Promise.all([
      this.look(() => Bun.sleep(1)),
      this.look(() => this.sql.unsafe('SELECT 1')),
      this.look(() => this.redis.send('PING', [])),
    ])
  }

  /** Whether it did between two times of performance.now(), or shortly before. */
  within(from: number, to: number): boolean {
    return this.stalls.some((stall) => stall.from < to && stall.to > from - AFTER_MS)
  }

  async close(): Promise<void> {
    this.isOver = true
    await this.looking
    await this.sql.close()
    this.redis.close()
  }

  private async look(turn: () => Promise<unknown>): Promise<void> {
    while (!this.isOver) {
      const from = performance.now()
      // It stands still until it answers.
      const stall = { from, to: Number.POSITIVE_INFINITY }
      const timer = setTimeout(() => this.stalls.push(stall), STALL_MS)
      await turn().catch(() => undefined)
      clearTimeout(timer)
      const to = performance.now()
      stall.to = to
      if (to - from > STALL_MS && !this.stalls.includes(stall)) this.stalls.push(stall)
      await Bun.sleep(EVERY_MS)
    }
  }
}
