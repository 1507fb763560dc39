import { timingSafeEqual } from 'node:crypto'
import type { AdminStore, Scope } from '../store/ports/admin-store.ts'

/** Whose key it is, and what it may do. */
export interface KeyHolder {
  readonly name: string
  readonly scopes: readonly Scope[]
}

/** Keys that requests may carry. */
export interface Keyring {
  /** Undefined: no such key. A promise only when the store has to be asked. */
  holderOf(key: string): KeyHolder | undefined | Promise<KeyHolder | undefined>
  close(): void
}

export interface KeyringOptions {
  /** Given by the environment: SHA-256 in hexadecimal. Without a name they are called by their first digits. */
  readonly configured: readonly { readonly hash: string; readonly scopes: readonly Scope[]; readonly name?: string }[]
  /** Keys made by `fabra keys`; null: there are none. */
  readonly store: Pick<AdminStore, 'apiKeys'> | null
  /** Told when the store cannot be read again. */
  readonly onProblem: (message: string, error: unknown) => void
}

/** A revoked key is refused after this time at the latest. */
const RELOAD_MS = 5_000
/** Unknown keys do not make the store busy: it is asked for all of them together, this long after it was asked last. */
const PAUSE_MS = 100

interface KeyEntry {
  readonly digest: Buffer
  readonly holder: KeyHolder
}

/** While the store cannot be reached, the keys that were known last are good. @throws FabraError store_unavailable when it cannot be reached at first */
export async function createKeyring({ configured, store, onProblem }: KeyringOptions): Promise<Keyring & { readonly size: number }> {
  const fixed = configured.map(asEntry)
  let made: readonly KeyEntry[] = store ? await read(store) : []
  let loading: Promise<void> | undefined
  let loadingSoon: Promise<void> | undefined

  const reload = (from: Pick<AdminStore, 'apiKeys'>) => {
    loading ??= read(from)
      .then(
        (keys) => {
          made = keys
        },
        (error: unknown) => onProblem('API keys could not be read again; those known go on being good', error),
      )
      .finally(() => {
        loading = undefined
      })
    return loading
  }
  const reloadSoon = (from: Pick<AdminStore, 'apiKeys'>) => {
    loadingSoon ??= new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      .then(() => {
        loadingSoon = undefined
        return loading
      })
      .then(() => reload(from))
    return loadingSoon
  }
  const find = (digest: Buffer) => {
    let holder: KeyHolder | undefined
    // Every key is compared, all of each, so that the time taken tells nothing.
    for (const known of fixed) if (timingSafeEqual(known.digest, digest)) holder = known.holder
    for (const known of made) if (timingSafeEqual(known.digest, digest)) holder = known.holder
    return holder
  }
  const timer = store && setInterval(() => void reload(store), RELOAD_MS)
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

async function read(store: Pick<AdminStore, 'apiKeys'>): Promise<KeyEntry[]> {
  const keys = await store.apiKeys()
  return keys.filter((key) => key.revokedAt === null).map(asEntry)
}

function asEntry({ hash, scopes, name }: KeyringOptions['configured'][number]): KeyEntry {
  return { digest: Buffer.from(hash, 'hex'), holder: { name: name ?? `env:${hash.slice(0, 8)}`, scopes } }
}
