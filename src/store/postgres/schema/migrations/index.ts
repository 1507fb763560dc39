import first from './001_first.sql' with { type: 'text' }
import pendingWrites from './002_debts.sql' with { type: 'text' }
import changes from './003_changes.sql' with { type: 'text' }
import keyGrants from './004_key_grants.sql' with { type: 'text' }
import audit from './005_audit.sql' with { type: 'text' }
import packedHistory from './006_packed_history.sql' with { type: 'text' }
import packedHistoryOnly from './007_packed_history_only.sql' with { type: 'text' }

/** One step of the schema. Never changed once released: a change is another step. */
export interface Migration {
  readonly id: number
  readonly name: string
  readonly text: string
  /** Takes away or changes what the version before uses. Only what no running version uses may go: a version after the one that stopped using it. */
  readonly contracts?: true
  /** Keeps out older executables, and so waits for `fabra migrate --finish`. A schema that begins with it has it at once. */
  readonly finishes?: true
}

export const MIGRATIONS: readonly Migration[] = [
  { id: 1, name: 'first', text: first },
  { id: 2, name: 'debts', text: pendingWrites },
  { id: 3, name: 'changes', text: changes },
  { id: 4, name: 'key grants', text: keyGrants },
  { id: 5, name: 'audit', text: audit },
  { id: 6, name: 'packed history', text: packedHistory },
  { id: 7, name: 'packed history only', text: packedHistoryOnly, contracts: true, finishes: true },
]
