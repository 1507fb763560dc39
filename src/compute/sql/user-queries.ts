/**
 * `db` inside a user's function: the same rewrite as SQL features, with bound parameters.
 *
 *     const db = createDb({ sourceStore, registry })
 *     await db.query('SELECT COUNT(*) FROM transactions WHERE user_id = ?', ['u1'], { asOf, mode, signal, timeoutMs })
 */

import { inSteps } from '../../collections/yielding.ts'
import type { Registry } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import { type SourceEngine, SqlError, SqlTimestamp, type SqlValue, type TakeRows } from '../../store/ports/source-engine.ts'
import type { Db, DbOptions, RowReader } from '../db.ts'
import { cellsOf, toSqlValue } from './cells.ts'
import { type Admitted, createGatekeeper, writeSql } from './gate.ts'
import { type Mergeable, MergedQueries } from './merged-queries.ts'
import { placeParameters } from './placeholders.ts'
import { pastRefusal } from './rewrite/analysis.ts'
import { type SetForm, setFormOf } from './set-form.ts'

export interface UserQueryDependencies {
  readonly sourceEngine: SourceEngine
  readonly registry: Pick<Registry, 'sources'>
}

/** Texts kept in their rewritten form. A function that pastes values into its SQL would otherwise fill the memory. */
const MAX_STATEMENTS = 1000
/** Of one text: combinations of types of its parameters. */
const MAX_FORMS = 16
/** So few are given without a look at the clock. */
const FEW_ROWS = 100

interface Compiled extends Mergeable {
  /** Per `$n`: the index of the parameter given, or the as-of time. */
  readonly parameters: readonly (number | 'asOf')[]
  /** How many of them are given. */
  readonly placeholders: number
  readonly past: string | null
  readonly sources: readonly string[]
}

export function createDb(dependencies: UserQueryDependencies): Db & RowReader {
  const statements = new StatementCache(dependencies)
  const merged = new MergedQueries(dependencies.sourceEngine)
  const bind = (statement: Compiled, params: readonly unknown[], at: DbOptions): SqlValue[] => {
    if (at.mode === 'past' && statement.past !== null) {
      throw new FabraError('feature_failed', `The query cannot be run for the past: ${statement.past}`, {
        hint: 'Read declared sources only.',
      })
    }
    return statement.parameters.map((parameter) => (parameter === 'asOf' ? new SqlTimestamp(at.asOf) : toSqlValue(params[parameter])))
  }
  return {
    async query(sql, params, at) {
      const known = statements.get(sql, params.length)
      const statement = known instanceof Promise ? await known : known
      const bound = bind(statement, params, at)
      try {
        const values = bound.length === statement.placeholders ? bound : bound.slice(0, statement.placeholders)
        const { columns, rows } = await merged.query(statement, { values, bound, at })
        const cells = cellsOf(columns, at.form ?? 'plain')
        const given: unknown[][] = []
        const give = (row: readonly SqlValue[]) => {
          given.push(rowOf(row, cells))
        }
        if (rows.length <= FEW_ROWS) for (const row of rows) give(row)
        else await inSteps(rows, give)
        return { columns: columns.map((column) => column.name), rows: given, sources: statement.sources }
      } catch (error) {
        throw asFabraError(error)
      }
    },
    async read(sql, at, take) {
      const statement = await statements.get(sql, 0)
      const bound = bind(statement, [], at)
      const takeRows: TakeRows = (rows, columns) => {
        const cells = cellsOf(columns, 'plain')
        // Texts are what they are: the keys of an entity may be millions.
        take({
          columns: columns.map((column) => column.name),
          rows: columns.every((column) => column.type === 'VARCHAR') ? rows : rows.map((row) => rowOf(row, cells)),
        })
      }
      try {
        await dependencies.sourceEngine.queryInto(takeRows, statement.text, bound, { signal: at.signal, timeoutMs: at.timeoutMs })
      } catch (error) {
        throw asFabraError(error)
      }
    },
  }
}

function rowOf(row: readonly SqlValue[], cells: ReturnType<typeof cellsOf>): unknown[] {
  return row.map((value, i) => cells[i]?.(value))
}

/** Most recently used last. Callers of one text share its analysis, also while it is under way. */
class StatementCache {
  private readonly statements = new Map<string, Compiled | Promise<Compiled>>()
  private readonly admit: ReturnType<typeof createGatekeeper>

  constructor(dependencies: UserQueryDependencies) {
    this.admit = createGatekeeper(dependencies.sourceEngine, dependencies.registry.sources, 'definition')
  }

  /** @returns without a promise where it is known. */
  get(sql: string, count: number): Compiled | Promise<Compiled> {
    const id = `${count} ${sql}`
    const known = this.statements.get(id)
    if (known !== undefined) {
      this.statements.delete(id)
      this.statements.set(id, known)
      return known
    }
    const statement = this.compile(sql, count)
    this.statements.set(id, statement)
    statement.then(
      (compiled) => {
        if (this.statements.get(id) === statement) this.statements.set(id, compiled)
      },
      // A table may be there the next time: failures are not kept.
      () => this.statements.delete(id),
    )
    if (this.statements.size > MAX_STATEMENTS) {
      for (const oldest of this.statements.keys()) {
        this.statements.delete(oldest)
        break
      }
    }
    return statement
  }

  private async compile(sql: string, count: number): Promise<Compiled> {
    const placed = placeParameters(sql, count)
    if ('message' in placed) throw new FabraError('feature_failed', placed.message, { hint: placed.hint })
    try {
      const admitted = await this.admit(placed.text)
      if ('fault' in admitted)
        throw new FabraError('feature_failed', `The query cannot be run: ${admitted.fault.message}`, { hint: admitted.fault.hint })
      return await compiled(admitted, placed.order)
    } catch (error) {
      throw asFabraError(error)
    }
  }
}

async function compiled({ sql, gate }: Admitted, order: readonly number[]): Promise<Compiled> {
  const asOf = `$${order.length + 1}`
  const row = { asOf: `CAST(${asOf} AS TIMESTAMPTZ)`, parameter: (written: string) => written }
  const text = await writeSql(sql, { row, frame: (body) => body }, gate)
  const usesAsOf = text.includes(`CAST(${asOf} AS TIMESTAMPTZ)`)
  const sources = [...new Set(sql.shadows.map((shadow) => shadow.source.name))]
  const forms = new Map<string, Promise<SetForm | null>>()
  return {
    text,
    isSame: order.length === 0 && !usesAsOf,
    parameters: usesAsOf ? [...order, 'asOf'] : order,
    placeholders: order.length,
    past: pastRefusal(sql),
    sources,
    form(signature) {
      const known = forms.get(signature)
      if (known) return known
      const form = setFormOf({ sql, gate }, { text, count: order.length }, signature)
      if (forms.size < MAX_FORMS) forms.set(signature, form)
      form.catch(() => forms.delete(signature))
      return form
    },
  }
}

/** Unlike a client, the feature's author may read what the engine says. */
function asFabraError(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error
  if (error.kind === 'unavailable') {
    return new FabraError('store_unavailable', 'The database that holds the sources cannot be reached.', {
      hint: 'Try again in a moment.',
      cause: error,
    })
  }
  if (error.kind === 'timeout' || error.kind === 'interrupted') {
    return new FabraError('feature_timeout', 'The query was not done in time.', {
      hint: 'Give the feature more time with "timeout".',
      cause: error,
    })
  }
  const [message = ''] = error.message.split('\n\nLINE ')
  return new FabraError('feature_failed', `The query failed: ${message.replaceAll('\n', ' ')}`, {
    hint: 'Mend the SQL given to db.',
    cause: error,
  })
}
