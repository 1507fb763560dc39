import type { Scope } from '../store/ports/admin-store.ts'

export const SCOPES: readonly Scope[] = ['read', 'train', 'write', 'admin']
