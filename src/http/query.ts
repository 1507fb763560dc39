import { parseDuration } from '../definition/duration.ts'
import { type EntityKey, entityKey, entityKeyFromRow, plainKey } from '../definition/entity-key.ts'
import type { DeclaredType, Entity } from '../definition/model.ts'
import { parseExact } from '../definition/value.ts'
import { FabraError, suggest } from '../errors.ts'
import { type Plan, type PlanRow, planRow } from '../serving/plan.ts'
import { pathOf } from './address.ts'

const PLAIN_WORD = /^[\w.-]{1,128}$/

/** `?entity_id=u1` for one key column, or the key's own columns; inputs likewise; `max_age=30s`. */
export function rowFromQuery(plan: Plan, request: Request): { readonly row: PlanRow; readonly maxAge: number | null } {
  const { url } = request
  const start = url.indexOf('?')
  const plain = start < 0 ? undefined : plainRow(plan, url, start)
  if (plain) return { row: plain, maxAge: null }
  const given: Record<string, unknown> = Object.create(null)
  let maxAge: number | null = null
  for (const [name, value] of start < 0 ? [] : parameters(url.slice(start + 1))) {
    if (name === 'max_age') maxAge = parseMaxAge(value)
    else if (Object.hasOwn(given, name)) throw new FabraError('invalid_key', `"${name}" is given twice.`, { hint: 'Give it once.' })
    else given[name] = value
  }
  return { row: planRow(plan, typedRow(plan, given)), maxAge }
}

/** Nearly every request is `?entity_id=` and a plain word: read without a parser. Undefined: read it the long way. @param start Of the query. */
function plainRow(plan: Plan, url: string, start: number): PlanRow | undefined {
  if (plan.inputs.size > 0 || plan.groups.length !== 1 || !url.startsWith('entity_id=', start + 1)) return undefined
  const entity = plan.groups[0]?.entity
  const column = entity?.key[0]
  if (!entity || !column || entity.key.length !== 1) return undefined
  const id = url.slice(start + 11)
  if (!PLAIN_WORD.test(id)) return undefined
  return { keys: [column.type === 'string' ? plainKey(id) : entityKey(entity, [id])], inputs: undefined }
}

/** Broken percent-encoding is refused: read leniently, two different ids would become the same one. @throws FabraError bad_request */
export function parameters(query: string): URLSearchParams {
  checkEncoding(query)
  return new URLSearchParams(query)
}

/** @throws FabraError bad_request */
export function checkEncoding(text: string): void {
  if (!text.includes('%')) return
  try {
    decodeURIComponent(text)
  } catch {
    throw new FabraError('bad_request', 'The address has broken percent-encoding.', { hint: 'Encode ids as UTF-8: % is %25, é is %C3%A9.' })
  }
}

/** The key of a plan's first entity and other parameters by name, for routes that take no inputs. */
export function keyFromQuery(plan: Plan, request: Request, others: readonly string[]): { key: EntityKey; rest: Record<string, string> } {
  const given: Record<string, unknown> = Object.create(null)
  const rest: Record<string, string> = Object.create(null)
  const start = request.url.indexOf('?')
  for (const [name, value] of start < 0 ? [] : parameters(request.url.slice(start + 1))) {
    if (others.includes(name)) rest[name] = value
    else given[name] = value
  }
  const keyOnly = { ...plan, inputs: new Map(), columns: plan.groups.flatMap((group) => group.entity.key.map((column) => column.name)) }
  const [key] = planRow(keyOnly, typedRow(keyOnly, given, others)).keys
  if (!key) throw new FabraError('internal', 'The plan has no entity.')
  return { key, rest }
}

/** `/v1/entities/User/u1`; several key columns are given by name behind `-`. @throws FabraError invalid_key */
export function entityKeyFromPath(entity: Entity, id: string, request: Request): EntityKey {
  checkEncoding(pathOf(request))
  const columns = entity.key.map((column) => column.name)
  const start = request.url.indexOf('?')
  const given: Record<string, unknown> = Object.create(null)
  for (const [name, value] of start < 0 ? [] : parameters(request.url.slice(start + 1))) {
    const known = columns.length === 1 ? [] : columns
    if (!known.includes(name)) throw new FabraError('invalid_key', `Unknown query parameter "${name}".`, { hint: suggest(name, known) })
    if (Object.hasOwn(given, name)) throw new FabraError('invalid_key', `"${name}" is given twice.`, { hint: 'Give it once.' })
    given[name] = value
  }
  if (columns.length === 1) return entityKey(entity, [id])
  if (id === '-') return entityKeyFromRow(entity, given)
  throw new FabraError('invalid_key', 'This entity has several key columns.', {
    hint: `Write - for the id and name the columns: /v1/entities/${entity.name}/-?${columns.map((column) => `${column}=…`).join('&')}`,
  })
}

/** Query texts become what a JSON body would hold: `entity_id` the only key column, inputs values of their types. */
function typedRow(plan: Plan, given: Record<string, unknown>, others: readonly string[] = ['max_age']): Record<string, unknown> {
  const keyColumns = plan.groups.flatMap((group) => group.entity.key.map((column) => column.name))
  const [only] = keyColumns
  if (Object.hasOwn(given, 'entity_id')) {
    if (keyColumns.length !== 1 || only === undefined) {
      throw new FabraError('invalid_key', `entity_id names one key column, but this key has ${keyColumns.length}.`, {
        hint: `Write ?${keyColumns.map((column) => `${column}=…`).join('&')}.`,
      })
    }
    if (Object.hasOwn(given, only))
      throw new FabraError('invalid_key', `Both entity_id and ${only} are given.`, { hint: `They mean the same: give one.` })
    given[only] = given['entity_id']
    delete given['entity_id']
  }
  for (const [name, { type }] of plan.inputs) {
    if (Object.hasOwn(given, name)) given[name] = inputFromText(name, type, String(given[name]))
  }
  for (const name of Object.keys(given)) {
    if (!plan.columns.includes(name)) {
      const known = [...(keyColumns.length === 1 ? ['entity_id'] : []), ...plan.columns, ...others]
      throw new FabraError('invalid_key', `Unknown query parameter "${name}".`, { hint: suggest(name, known) })
    }
  }
  if (Object.keys(given).length === 0 && only !== undefined) {
    const example = keyColumns.length === 1 ? '?entity_id=…' : `?${keyColumns.map((column) => `${column}=…`).join('&')}`
    throw new FabraError('invalid_key', `No key is given: whose value is asked for?`, { hint: `Add ${example} to the address.` })
  }
  return given
}

function inputFromText(name: string, type: DeclaredType, text: string): unknown {
  if (type === 'string' || type === 'timestamp') return text
  try {
    return parseExact(text)
  } catch {
    throw new FabraError('invalid_input', `The input "${name}" is not a ${type}: ${JSON.stringify(text.slice(0, 60))}.`, {
      hint: `"${name}" is declared as ${type}.`,
    })
  }
}

/** Refuses parameters that are not among these. @throws FabraError invalid_input, bad_request */
export function knownParameters(query: string, known: readonly string[]): URLSearchParams {
  const given = parameters(query)
  for (const name of given.keys())
    if (!known.includes(name)) throw new FabraError('invalid_input', `Unknown query parameter "${name}".`, { hint: suggest(name, known) })
  return given
}

/** @throws FabraError invalid_input */
export function limitOf(query: URLSearchParams, fallback: number, most: number): number {
  const limit = Number(query.get('limit') ?? fallback)
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return limit
  throw new FabraError('invalid_input', 'limit is out of range.', { hint: `Write a whole number from 1 to ${most}.` })
}

/** @throws FabraError invalid_input */
export function parseMaxAge(value: unknown): number {
  const micros = typeof value === 'string' ? parseDuration(value) : undefined
  if (micros !== undefined) return micros
  throw new FabraError('invalid_input', `max_age is not a duration: ${JSON.stringify(value)?.slice(0, 60)}.`, {
    hint: 'Write max_age as "30s", "5m", "1h" or "1d".',
  })
}
