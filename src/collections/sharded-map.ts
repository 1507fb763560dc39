import { createPace } from './yielding.ts'

/** Entries up to which one map holds them all, in the order they came. */
const SMALL = 8_192
const SHARDS = 256
/** Characters of a key that are looked at, from its end: numbered keys differ there. */
const HASHED = 12

/**
 * A map of texts that may hold millions without ever making others wait: a plain map that has grown to a million entries moves all of them
 * when it grows again, and that takes 90 ms at a time. Large ones are cut into many small maps, and their order is no longer the order in which
 * entries came.
 */
export class ShardedMap<Value> {
  private readonly shards: Map<string, Value>[] = [new Map()]
  private count = 0

  get size(): number {
    return this.count
  }

  get(key: string): Value | undefined {
    return this.shardOf(key).get(key)
  }

  has(key: string): boolean {
    return this.shardOf(key).has(key)
  }

  set(key: string, value: Value): this {
    const shard = this.shardOf(key)
    const before = shard.size
    shard.set(key, value)
    if (shard.size === before) return this
    this.count++
    if (this.count > SMALL && this.shards.length === 1) this.split()
    return this
  }

  delete(key: string): boolean {
    const deleted = this.shardOf(key).delete(key)
    if (deleted) this.count--
    return deleted
  }

  clear(): void {
    this.shards.length = 0
    this.shards.push(new Map())
    this.count = 0
  }

  /** What is looked at may be deleted. Others get their turn on the way, and what they add may be looked at or not. */
  async inSteps(look: (value: Value, key: string) => void): Promise<void> {
    const pace = createPace()
    for (const shard of [...this.shards]) {
      const wait = pace()
      if (wait) await wait
      shard.forEach(look)
    }
  }

  /** Several times as quick as going through an iterator. What is looked at may be deleted. */
  forEach(look: (value: Value, key: string) => void): void {
    for (const shard of this.shards) shard.forEach(look)
  }

  *keys(): IterableIterator<string> {
    for (const shard of this.shards) yield* shard.keys()
  }

  *values(): IterableIterator<Value> {
    for (const shard of this.shards) yield* shard.values()
  }

  *[Symbol.iterator](): IterableIterator<[string, Value]> {
    for (const shard of this.shards) yield* shard
  }

  private shardOf(key: string): Map<string, Value> {
    const { shards } = this
    return (shards.length === 1 ? shards[0] : shards[hash(key)]) as Map<string, Value>
  }

  private split(): void {
    const [all] = this.shards
    this.shards.length = 0
    for (let i = 0; i < SHARDS; i++) this.shards.push(new Map())
    for (const [key, value] of all ?? []) this.shardOf(key).set(key, value)
  }
}

/** Which shard; `SHARDS` is a power of two. */
function hash(key: string): number {
  let sum = key.length
  for (let i = Math.max(0, key.length - HASHED); i < key.length; i++) sum = (Math.imul(sum, 31) + key.charCodeAt(i)) | 0
  return (sum ^ (sum >>> 8) ^ (sum >>> 16)) & (SHARDS - 1)
}
