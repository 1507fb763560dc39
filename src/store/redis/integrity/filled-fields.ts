import { FENCES_FIELD } from '../../ports/online-store.ts'
import { filledKey } from '../format/record.ts'
import type { RedisConnection } from '../redis.ts'

/** What fields were filled in before there were epochs. */
const NO_EPOCH = '1'

/** Which fields history has filled in Redis, and in which epoch: what was filled in another one is gone. */
export class FilledFields {
  private readonly connection: RedisConnection
  private fields: readonly string[] = []
  /** The one in which fields are filled. */
  private epoch = NO_EPOCH
  /** Of these it is known that they were filled in the epoch. */
  private proved: { readonly epoch: string; readonly fields: ReadonlySet<string> } | undefined

  constructor(connection: RedisConnection) {
    this.connection = connection
  }

  /** Those that must have been filled. */
  get expected(): readonly string[] {
    return this.fields
  }

  expect(fields: readonly string[]): void {
    this.fields = [...new Set([FENCES_FIELD, ...fields])]
  }

  /** Whether all that is expected is known to be there. @param epoch Default: that in which it was proved. */
  areProved(epoch = this.proved?.epoch): boolean {
    return this.proved?.epoch === epoch && this.fields.every((field) => this.proved?.fields.has(field) === true)
  }

  /** Asks Redis whether all that is expected was filled in this epoch. */
  async prove(epoch: string): Promise<boolean> {
    this.epoch = epoch
    const { fields } = this
    const isFilled = await this.areFilled(fields)
    if (!isFilled.every(Boolean)) return false
    this.proved = { epoch, fields: new Set(fields) }
    return true
  }

  /** Nothing is filled in it yet. */
  beginEpoch(epoch: string): void {
    this.epoch = epoch
    this.proved = undefined
  }

  /** Of those expected. */
  async missingIn(epoch: string): Promise<readonly string[]> {
    this.epoch = epoch
    const { fields } = this
    const isFilled = await this.areFilled(fields)
    return fields.filter((_, i) => !isFilled[i])
  }

  areFilled(fields: readonly string[]): Promise<readonly boolean[]> {
    return Promise.all(fields.map(async (field) => (await this.connection.send('GET', filledKey(field))) === this.epoch))
  }

  async markFilled(field: string): Promise<void> {
    await this.connection.send('SET', filledKey(field), this.epoch)
  }
}
