import { timingSafeEqual } from 'node:crypto'
import { type Micros, systemClock } from '../clock.ts'
import type { AdminStore, Allowance, Scope } from '../store/ports/admin-store.ts'

/** Whose key it is, and what it may do. */
export interface KeyHolder {
  /** Short, the same for as long as the key is. */
  readonly id: string
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Null: it sees all. */
  readonly allowed: Allowance | null
  /** Requests a second; null: as many as it likes. */
  readonly rate: number | null
}

/** Keys that requests may carry. */
export interface Keyring {
  /** Undefined: no such key. A promise only when the store has to be asked. */
  holderOf(key: string): KeyHolder | undefined | Promise<KeyHolder | undefined>
  close(): void
}

interface GivenKey {
  /** SHA-256 in hexadecimal. */
  readonly hash: string
  readonly scopes: readonly Scope[]
  /** Default: the first digits of the hash. */
  readonly name?: string
  readonly allowed?: Allowance | null
  readonly rate?: number | null
  readonly expiresAt?: Micros | null
}

type KeyStore = Pick<AdminStore, 'apiKeys'> & Partial<Pick<AdminStore, 'useApiKeys'>>

export interface KeyringOptions {
  /** Given by the environment. */
  readonly configured: readonly GivenKey[]
  /** Keys made by `fabra keys`; null: there are none. */
  readonly store: KeyStore | null
  /** Told when the store cannot be read again. */
  readonly onProblem: (message: string, error: unknown) => void
  /** By which keys end. Default: the machine's clock. */
  readonly now?: () => Micros
}

/** A revoked key is refused after this time at the latest. */
const RELOAD_MS = 5_000
/** Unknown keys do not make the store busy: it is asked for all of them together, this long after it was asked last. */
const PAUSE_MS = 100

/** The store is told which keys were used all at once, and so seldom. */
const TELL_USES_MS = 60_000

interface KeyEntry {
  readonly digest: Buffer
  readonly holder: KeyHolder
  readonly expiresAt: Micros | null
  /** Since the store was told last. */
  isUsed: boolean
}

/** While the store cannot be reached, the keys that were known last are good. @throws FabraError store_unavailable when it cannot be reached at first */
export async function createKeyring({
  configured,
  store,
  onProblem,
  now = machineTime,
}: KeyringOptions): Promise<Keyring & { readonly size: number }> {
  const fixed = configured.map(asEntry)
  let made: readonly KeyEntry[] = store ? await read(store) : []
  let loading: Promise<void> | undefined
  let loadingSoon: Promise<void> | undefined

  const reload = (from: KeyStore) => {
    loading ??= read(from)
      .then(
        (keys) => {
          const used = new Set(made.flatMap(({ isUsed, holder }) => (isUsed ? [holder.id] : [])))
          for (const key of keys) key.isUsed = used.has(key.holder.id)
          made = keys
        },
        (error: unknown) => onProblem('API keys could not be read again; those known go on being good', error),
      )
      .finally(() => {
        loading = undefined
      })
    return loading
  }
  const reloadSoon = (from: KeyStore) => {
    loadingSoon ??= new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      .then(() => {
        loadingSoon = undefined
        return loading
      })
      .then(() => reload(from))
    return loadingSoon
  }
  const find = (digest: Buffer) => {
    let found: KeyEntry | undefined
    // Every key is compared, all of each, so that the time taken tells nothing.
    for (const known of fixed) if (timingSafeEqual(known.digest, digest)) found = known
    for (const known of made) if (timingSafeEqual(known.digest, digest)) found = known
    if (found === undefined || (found.expiresAt !== null && found.expiresAt <= now())) return undefined
    found.isUsed = true
    return found.holder
  }
  let toldAt = Number.NEGATIVE_INFINITY
  const tellUses = async (to: KeyStore) => {
    const used = made.filter(({ isUsed }) => isUsed)
    if (used.length === 0 || !to.useApiKeys || performance.now() - toldAt < TELL_USES_MS) return
    toldAt = performance.now()
    for (const entry of used) entry.isUsed = false
    // Whoever cannot be told now is told the next time that the key is used; that the store is away is said by the reading beside it.
    await to
      .useApiKeys(
        used.map(({ holder }) => holder.id),
        now(),
      )
      .catch(() => undefined)
  }
  const timer = store && setInterval(() => void tellUses(store).then(() => reload(store)), RELOAD_MS)
  timer?.unref()

  return {
    get size() {
      return fixed.length + made.length
    },
    holderOf(key) {
      const digest = new Bun.CryptoHasher('sha256').update(key).digest()
      const holder = find(digest)
      if (holder || !store) return holder
      return reloadSoon(store).then(() => find(digest))
    },
    close() {
      if (timer) clearInterval(timer)
    },
  }
}

const machineTime = () => systemClock(0).now()

async function read(store: KeyStore): Promise<KeyEntry[]> {
  const keys = await store.apiKeys()
  return keys.filter((key) => key.revokedAt === null).map(asEntry)
}

function asEntry({ hash, scopes, name, allowed = null, rate = null, expiresAt = null }: GivenKey): KeyEntry {
  const holder = { id: hash.slice(0, 12), name: name ?? `env:${hash.slice(0, 8)}`, scopes, allowed, rate }
  return { digest: Buffer.from(hash, 'hex'), holder, expiresAt, isUsed: false }
}
