import type { Feature } from '../../definition/model.ts'
import { type Copies, type SourceEngine, SqlError, SqlTimestamp, type SqlValue } from '../../store/ports/source-engine.ts'
import type { Computed, ComputeRow } from '../executor.ts'
import { answerOf } from './batch.ts'
import { keyCheck } from './key-types.ts'
import { areLike } from './proof.ts'
import { markedRow, numberedKey, writtenKey } from './rewrite/parameters.ts'
import { rowStatement } from './rewrite/statement.ts'
import type { SqlDefinition, SqlDefinitions } from './sql-definitions.ts'

export interface PastOfKeyOptions {
  readonly signal: AbortSignal
  /** Of all of them together. */
  readonly timeoutMs: number
  readonly onAnswer: (feature: Feature, computed: Computed) => void
}

/** For fewer a copy does not pay. */
const LEAST = 2
/** In one statement: most of what a small one takes is its beginning. */
const TOGETHER = 32
/** A connection is lent for so many statements; then others have their turn. */
const STATEMENTS = 8
/** Connections at the same time: the engine plans a statement on one core, and planning is most of what these take. */
const AT_ONCE = 2

type CopiedDefinition = SqlDefinition & { readonly copied: NonNullable<SqlDefinition['copied']> }

/** One statement of many features whose columns have the same types. Rows tell which of them they are of. */
interface Union {
  readonly definitions: readonly CopiedDefinition[]
  /** With marks for the time and the key. */
  readonly marked: string
}

export interface PastOfKey {
  /** Over copies of what the time shows of the key. What fails here has to fail by itself, in its own words. */
  compute(features: readonly Feature[], row: ComputeRow, options: PastOfKeyOptions): Promise<void>
}

/** @param definitions Of one registry. */
export function createPastOfKey(sourceEngine: SourceEngine, definitions: Pick<SqlDefinitions, 'get'>): PastOfKey {
  /** Features in whose copied text something else was found than in the text that was proved. */
  const unlike = new Set<string>()
  const proved = new Set<string>()

  async function prove(some: readonly CopiedDefinition[]): Promise<void> {
    const [first] = some
    const open = some.filter(({ feature }) => !proved.has(feature.name))
    if (!first || open.length === 0) return
    const mark = markedRow(first)
    const row = { asOf: numberedKey(mark.asOf), parameter: (written: string) => numberedKey(mark.parameter(written, 0)) }
    const are = await areLike(
      {
        ...row,
        texts: open.map(({ copied }) => numberedKey(copied.marked)),
        frame: rowStatement,
        parameters: first.entity.key.map(({ name }) => `$${name.toLowerCase()}`),
      },
      {
        copies: new Map(open.flatMap(({ copied }) => copied.copies.map(({ name, table }) => [name, table]))),
        likenesses: open.map(({ copied }) => copied.likeness),
      },
      sourceEngine,
    )
    for (const [i, { feature }] of open.entries()) (are[i] ? proved : unlike).add(feature.name)
  }

  async function computeSome(copies: Copies, unions: readonly Union[], row: ComputeRow, options: PastOfKeyOptions): Promise<void> {
    const { signal, timeoutMs, onAnswer } = options
    const all = unions.flatMap((union) => union.definitions)
    const [first] = all
    if (!first) return
    const parameters = [new SqlTimestamp(row.asOf), ...row.key.values]
    const forms = new Map(all.flatMap(({ copied }) => copied.copies.map((form) => [form.name, form])))
    const needed = [...forms.values()].map(({ name, marked }) => ({
      name,
      text: `${numberedKey(marked)} AND ${allBound(first)}`,
      parameters,
    }))
    const deadline = performance.now() + timeoutMs
    await copies.use(needed, { signal, timeoutMs }, async (query) => {
      for (const { definitions: members, marked } of unions) {
        const { rows } = await query(writtenKey(marked, row), [], { signal, timeoutMs: Math.max(1, deadline - performance.now()) })
        const own = members.map((): (readonly SqlValue[])[] => [])
        for (const one of rows) own[Number(one[0])]?.push(one)
        for (const [i, definition] of members.entries()) {
          const answer = answerOf(definition, own[i] ?? [], 2)
          if (answer.kind !== 'error') onAnswer(definition.feature, answer)
        }
      }
    })
  }

  return {
    async compute(features, row, options) {
      const { copies } = sourceEngine
      if (copies === null) return
      const together = features.flatMap((feature) => {
        const definition = definitions.get(feature.name)
        return definition && hasCopies(definition) && keyCheck(definition.entity, definition.keyTypes)?.(row.key.values) == null
          ? [definition]
          : []
      })
      if (together.length < LEAST) return
      const unions: Union[] = []
      for (const group of groupsOf(together)) {
        await prove(group)
        const members = group.filter(({ feature }) => !unlike.has(feature.name))
        if (members.length > 0) unions.push({ definitions: members, marked: unionOf(members) })
      }
      const most = Math.min(STATEMENTS, Math.ceil(unions.length / AT_ONCE))
      const work = async () => {
        for (let some = unions.splice(0, most); some.length > 0; some = unions.splice(0, most)) {
          options.signal.throwIfAborted()
          await computeSome(copies, some, row, options).catch(passUnlessGivenUp)
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, work))
    },
  }
}

/** One of them may be at fault, which is told when it is asked for by itself. */
function passUnlessGivenUp(error: unknown): void {
  if (!(error instanceof SqlError) || error.kind === 'interrupted' || error.kind === 'unavailable') throw error
}

function hasCopies(definition: SqlDefinition): definition is CopiedDefinition {
  return definition.copied !== null
}

/** Those of one key's types and one list of columns, those that read the same beside one another. */
function groupsOf(definitions: readonly CopiedDefinition[]): readonly (readonly CopiedDefinition[])[] {
  const groups = new Map<string, CopiedDefinition[]>()
  for (const definition of definitions) {
    const { copied, keyTypes } = definition
    const id = JSON.stringify([copied.copies.map(({ name }) => name).sort(), keyTypes, copied.columnTypes])
    const group = groups.get(id)
    if (group) group.push(definition)
    else groups.set(id, [definition])
  }
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
  return sorted.flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / TOGETHER) }, (_, i) => group.slice(i * TOGETHER, (i + 1) * TOGETHER)),
  )
}

/** Each text is one statement by itself, so in brackets it is what it was. */
function unionOf(definitions: readonly CopiedDefinition[]): string {
  const parts = definitions.map(
    ({ copied }, i) => `SELECT CAST(${i} AS BIGINT) AS __fabra_ord, __fabra_one.* FROM (\n${copied.marked}\n) AS __fabra_one`,
  )
  return parts.join('\nUNION ALL\n')
}

/** The engine refuses values that a statement does not ask for. */
function allBound(definition: CopiedDefinition): string {
  const row = markedRow(definition)
  const values = [row.asOf, ...definition.entity.key.map(({ name }) => row.parameter(`$${name}`, 0))]
  return values.map((value) => `${numberedKey(value)} IS NOT NULL`).join(' AND ')
}
