import type { RedisScript } from './format/scripts.ts'
import type { Marks } from './integrity/marks.ts'
import type { RedisPart } from './socket/servers.ts'

export interface RedisOpening extends RedisTimes {
  /** See url.ts. */
  readonly url: string
  /** Told of what nobody else is told of: that Redis is gone, and that it is back. Without hosts and passwords. */
  readonly onProblem?: (message: string, cause: unknown) => void
}

export interface RedisTimes {
  /** Longest wait for the answer to a read. Default 500. */
  readonly readTimeoutMs?: number
  /** Longest wait for the answer to anything else. Default 2,000. */
  readonly writeTimeoutMs?: number
  /** Longest wait for a connection. Default 1,000. */
  readonly connectTimeoutMs?: number
}

export interface RedisConnection {
  /** Whether one script may have keys of several slots: not in a cluster. */
  readonly spansSlots: boolean
  /**
   * Several fields of many hashes in one round trip.
   * @param take Makes the answer of a row for each key, which begin at `from`: the texts of its fields one after the other, each followed by
   * a line end, and nothing but a length where there is none. They are parts of a larger buffer: whoever keeps one copies it. `isSure`: what the
   * marks say of these very answers. `answeredAt`: by `performance.now()`.
   */
  readHashes<Answer>(
    keys: readonly string[],
    fields: readonly string[],
    take: (rows: readonly Buffer[], from: number, isSure: boolean, answeredAt: number) => Answer,
  ): Promise<Answer>
  /** @param keys All of one slot, unless `spansSlots`. */
  run(script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  /** The same without waiting for a turn. */
  runAtOnce(script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  /** Any other command whose first argument is its key. */
  send(command: string, key: string, ...args: readonly (string | number)[]): Promise<unknown>
  /** A command without a key, or one whose cluster node does not matter. */
  ask(command: string, ...args: readonly string[]): Promise<unknown>
  /** The servers that take writes, for `askAt`: one, or the masters of a cluster as far as they are known now. */
  masters(): readonly string[]
  /** A command without a key, to one of them. @throws FabraError store_unavailable, also when it is none any more. */
  askAt(master: string, command: string, ...args: readonly string[]): Promise<unknown>
  /** The address says TLS. */
  readonly isEncrypted: boolean
  readonly marks: Marks
  /** Where a mark belongs, and the server that is asked there. */
  places(): readonly RedisPart[]
  /** The server that takes writes; undefined: there is no connection, or there are several servers. */
  writesTo(): string | undefined
  /** Called when another server may be there, and when a mark is not what it was. */
  onNews(listener: () => void): void
  /** Connections that were made so far. */
  connections(): number
  /** `ok`, or what is wrong. @param doubt What else is, as long as reads are answered. */
  status(doubt?: string): string
  close(): Promise<void>
}
