/** What a key is confined to, as stores keep it beside the columns that older versions read. */
import type { Allowance, ApiKey, Scope } from './admin-store.ts'

export interface KeptGrants {
  readonly scopes: readonly Scope[]
  /** JSON; null: the key sees all. */
  readonly grants: string | null
}

/** Versions that know of no allow-list find a confined key without scopes, and refuse it: else they would show it everything. */
export function keptGrants({ scopes, allowed }: Pick<ApiKey, 'scopes' | 'allowed'>): KeptGrants {
  return allowed === null ? { scopes, grants: null } : { scopes: [], grants: JSON.stringify({ scopes, ...allowed }) }
}

/** What nobody can read lets its key see nothing. */
export function grantsOf(scopes: readonly Scope[], grants: string | null): Pick<ApiKey, 'scopes' | 'allowed'> {
  if (grants === null) return { scopes, allowed: null }
  try {
    const kept = JSON.parse(grants) as Allowance & { readonly scopes: readonly Scope[] }
    return { scopes: kept.scopes, allowed: { features: kept.features, entities: kept.entities } }
  } catch {
    return { scopes: [], allowed: { features: [], entities: [] } }
  }
}
