/** What a process archives that is killed. */
import { source } from './stored-definitions.ts'

export const DAY = 86_400_000_000
export const NOW = Date.UTC(2026, 5, 1) * 1_000
export const KEEP = 30 * DAY
export const CLICKS = source('clicks', { timestamp: 'at', columns: { user_id: 'VARCHAR', at: 'TIMESTAMPTZ', n: 'BIGINT' } })
