import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import type { SqlDefinition } from '../sql-definitions.ts'
import { isSameRow, latestStatement } from './latest-row-statement.ts'
import { joinedStatement, joinsWith, PAIRS_PER_EVENT } from './windowed-aggregate-statement.ts'

/** Features in one statement; more would hold more per row than they save in reading. */
const MAX_MERGED = 16

/** Several features over the same events, computed in one statement over `__fabra_row`: plain aggregates, or columns of the same latest row. */
export interface MergedStatement {
  readonly text: string
  readonly definitions: readonly SqlDefinition[]
  /** Per definition: how many columns of the statement are before its own. */
  readonly offsets: readonly number[]
}

/** Those of the definitions that may share a statement; the others are left out. @throws SqlError where the engine refuses a piece of their text. */
export function mergedStatements(definitions: readonly SqlDefinition[], store: SourceEngine): Promise<MergedStatement[]> {
  const able = definitions.filter(({ past }) => past === null)
  const plain = groupsOf(able, ({ plain: plan }) => plan, joinsWith).map((group) =>
    merged(group, (plans) => joinedStatement(plans, store, PAIRS_PER_EVENT)),
  )
  const latest = groupsOf(able, (definition) => definition.latest, isSameRow).map((group) =>
    merged(group, (plans) => latestStatement(plans, store)),
  )
  return Promise.all([...plain, ...latest])
}

interface Member<Plan> {
  readonly definition: SqlDefinition
  readonly plan: Plan
}

/** Of two members or more. */
function groupsOf<Plan>(
  definitions: readonly SqlDefinition[],
  planOf: (definition: SqlDefinition) => Plan | null,
  isLike: (a: Plan, b: Plan) => boolean,
): Member<Plan>[][] {
  const groups: Member<Plan>[][] = []
  for (const definition of definitions) {
    const plan = planOf(definition)
    if (plan === null) continue
    const group = groups.find(([first, ...more]) => {
      const fits = first?.definition.entity.name === definition.entity.name && isLike(first.plan, plan)
      return fits && more.length + 1 < MAX_MERGED
    })
    if (group) group.push({ definition, plan })
    else groups.push([{ definition, plan }])
  }
  return groups.filter((group) => group.length > 1)
}

async function merged<Plan extends { readonly select: readonly unknown[] }>(
  group: readonly Member<Plan>[],
  write: (plans: readonly Plan[]) => Promise<string>,
): Promise<MergedStatement> {
  const plans = group.map(({ plan }) => plan)
  const offsets = plans.map((_, i) => plans.slice(0, i).reduce((sum, plan) => sum + plan.select.length, 0))
  return { text: await write(plans), definitions: group.map(({ definition }) => definition), offsets }
}
