/** Slots that a shard begins with; a power of two. */
const FIRST = 16
/** Entries up to which one shard holds them all. */
const SMALL = 8_192
const SHARDS = 256
const FREE = 0
const DROPPED = -1
/** Different in every process, so that nobody can choose keys that all fall into one place. */
const SEED = crypto.getRandomValues(new Int32Array(1))[0] ?? 1

/** Open addressing: two numbers a slot, the hash and the row + 1. */
interface Shard {
  slots: Int32Array
  /** Slots that are not free. */
  taken: number
  rows: number
  /** How many may be taken. Differs from shard to shard, or all would grow at once. */
  readonly most: number
}

/**
 * Which row a text has, for millions of texts. They lie with whoever asks (`textOf`): what is kept here are numbers alone, which cost the
 * collector nothing. Large ones are cut into shards that grow by themselves, so that no single step takes long.
 */
export class KeyIndex {
  private shards: Shard[] = [emptyShard(FIRST)]
  private count = 0
  private readonly textOf: (row: number) => string | undefined

  constructor(textOf: (row: number) => string | undefined) {
    this.textOf = textOf
  }

  get size(): number {
    return this.count
  }

  of(text: string): number | undefined {
    const hash = hashOf(text)
    const { slots } = shardOf(this.shards, hash)
    const slot = this.slotOf(slots, hash, text)
    return slot === undefined ? undefined : (slots[slot + 1] as number) - 1
  }

  /** @param text One that is not there yet. */
  add(text: string, row: number): void {
    const hash = hashOf(text)
    insert(shardOf(this.shards, hash), hash, row)
    this.count++
    if (this.count > SMALL && this.shards.length === 1) this.split()
  }

  /** @returns the row it had. */
  drop(text: string): number | undefined {
    const hash = hashOf(text)
    const shard = shardOf(this.shards, hash)
    const slot = this.slotOf(shard.slots, hash, text)
    if (slot === undefined) return undefined
    const row = (shard.slots[slot + 1] as number) - 1
    shard.slots[slot + 1] = DROPPED
    shard.rows--
    this.count--
    return row
  }

  private slotOf(slots: Int32Array, hash: number, text: string): number | undefined {
    const mask = slots.length - 2
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const row = slots[at + 1] as number
      if (row === FREE) return undefined
      if (slots[at] === hash && row !== DROPPED && this.textOf(row - 1) === text) return at
    }
  }

  private split(): void {
    const [all] = this.shards
    const shards = Array.from({ length: SHARDS }, () => emptyShard(FIRST))
    eachRow(all as Shard, (hash, row) => insert(shardOf(shards, hash), hash, row))
    this.shards = shards
  }
}

function emptyShard(capacity: number): Shard {
  return { slots: new Int32Array(2 * capacity), taken: 0, rows: 0, most: Math.floor(capacity * (0.5 + Math.random() / 4)) }
}

/** By the bits that do not tell the slot. */
function shardOf(shards: readonly Shard[], hash: number): Shard {
  return (shards.length === 1 ? shards[0] : shards[hash >>> 24]) as Shard
}

function insert(shard: Shard, hash: number, row: number): void {
  if (shard.taken >= shard.most) grow(shard)
  const { slots } = shard
  const mask = slots.length - 2
  let at = (hash << 1) & mask
  while (slots[at + 1] !== FREE) at = (at + 2) & mask
  slots[at] = hash
  slots[at + 1] = row + 1
  shard.taken++
  shard.rows++
}

/** Made anew with room for as many again; slots of dropped rows are free then. */
function grow(shard: Shard): void {
  let capacity = FIRST
  while (capacity <= shard.rows * 2) capacity *= 2
  const grown = emptyShard(capacity)
  eachRow(shard, (hash, row) => insert(grown, hash, row))
  Object.assign(shard, grown)
}

function eachRow({ slots }: Shard, look: (hash: number, row: number) => void): void {
  for (let at = 0; at < slots.length; at += 2) {
    const row = slots[at + 1] as number
    if (row > FREE) look(slots[at] as number, row - 1)
  }
}

function hashOf(text: string): number {
  let hash = SEED ^ text.length
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash, 0x85ebca6b)
  return hash ^ (hash >>> 13)
}
