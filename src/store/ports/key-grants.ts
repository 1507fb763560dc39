/** What a key is bound to, as stores keep it beside the columns that older versions read. */
import type { Allowance, ApiKey, Scope } from './admin-store.ts'

export interface KeptGrants {
  readonly scopes: readonly Scope[]
  /** JSON; null: the key is bound to nothing. */
  readonly grants: string | null
}

/** Versions that know of no allow-list find a confined key without scopes, and refuse it: else they would show it everything. */
export function keptGrants({ scopes, allowed, rate }: Pick<ApiKey, 'scopes' | 'allowed' | 'rate'>): KeptGrants {
  const limited = rate === null ? {} : { rate }
  if (allowed !== null) return { scopes: [], grants: JSON.stringify({ scopes, ...allowed, ...limited }) }
  return { scopes, grants: rate === null ? null : JSON.stringify(limited) }
}

/** What nobody can read lets its key see nothing. */
export function grantsOf(scopes: readonly Scope[], grants: string | null): Pick<ApiKey, 'scopes' | 'allowed' | 'rate'> {
  if (grants === null) return { scopes, allowed: null, rate: null }
  try {
    const { rate = null, ...kept } = JSON.parse(grants) as Partial<Allowance & Pick<ApiKey, 'scopes' | 'rate'>>
    if (kept.scopes === undefined) return { scopes, allowed: null, rate }
    return { scopes: kept.scopes, allowed: { features: kept.features ?? null, entities: kept.entities ?? null }, rate }
  } catch {
    return { scopes: [], allowed: { features: [], entities: [] }, rate: null }
  }
}
