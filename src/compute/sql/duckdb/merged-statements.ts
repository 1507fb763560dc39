import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import type { SqlDefinition } from '../sql-definitions.ts'
import type { PlainAggregate } from './windowed-aggregate.ts'
import { joinedStatement, joinsWith, PAIRS_PER_EVENT } from './windowed-aggregate-statement.ts'

/** Features in one statement; more would hold more per row than they save in reading. */
const MAX_MERGED = 16

/** Several plain aggregates over the same events, computed in one statement over `__fabra_row`. */
export interface MergedStatement {
  readonly text: string
  readonly definitions: readonly SqlDefinition[]
  /** Per definition: how many columns of the statement are before its own. */
  readonly offsets: readonly number[]
}

/** Those of the definitions that may share a statement; the others are left out. @throws SqlError where the engine refuses a piece of their text. */
export function mergedStatements(definitions: readonly SqlDefinition[], store: SourceEngine): Promise<MergedStatement[]> {
  const groups: { definition: SqlDefinition; plain: PlainAggregate }[][] = []
  for (const definition of definitions) {
    const { plain } = definition
    if (plain === null || definition.past !== null) continue
    const group = groups.find(([first, ...more]) => {
      const fits = first?.definition.entity.name === definition.entity.name && joinsWith(first.plain, plain)
      return fits && more.length + 1 < MAX_MERGED
    })
    if (group) group.push({ definition, plain })
    else groups.push([{ definition, plain }])
  }
  const merges = groups
    .filter((group) => group.length > 1)
    .map(async (group) => {
      const plans = group.map(({ plain }) => plain)
      const offsets = plans.map((_, i) => plans.slice(0, i).reduce((sum, plan) => sum + plan.select.length, 0))
      return { text: await joinedStatement(plans, store, PAIRS_PER_EVENT), definitions: group.map(({ definition }) => definition), offsets }
    })
  return Promise.all(merges)
}
