import { timingSafeEqual } from 'node:crypto'
import type { AdminStore, Scope } from '../store/ports/admin-store.ts'

/** Keys that requests may carry. */
export interface Keyring {
  /** What the key may do; undefined: no such key. A promise only when the store has to be asked. */
  scopesOf(key: string): readonly Scope[] | undefined | Promise<readonly Scope[] | undefined>
  close(): void
}

export interface KeyringOptions {
  /** Given by the environment: SHA-256 in hexadecimal. */
  readonly configured: readonly { readonly hash: string; readonly scopes: readonly Scope[] }[]
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
  readonly scopes: readonly Scope[]
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
    let scopes: readonly Scope[] | undefined
    // Every key is compared, all of each, so that the time taken tells nothing.
    for (const known of fixed) if (timingSafeEqual(known.digest, digest)) scopes = known.scopes
    for (const known of made) if (timingSafeEqual(known.digest, digest)) scopes = known.scopes
    return scopes
  }
  const timer = store && setInterval(() => void reload(store), RELOAD_MS)
  timer?.unref()

  return {
    get size() {
      return fixed.length + made.length
    },
    scopesOf(key) {
      const digest = new Bun.CryptoHasher('sha256').update(key).digest()
      const scopes = find(digest)
      if (scopes || !store) return scopes
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

function asEntry({ hash, scopes }: { readonly hash: string; readonly scopes: readonly Scope[] }): KeyEntry {
  return { digest: Buffer.from(hash, 'hex'), scopes }
}
