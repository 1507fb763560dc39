/**
 * SQL types of an entity's key columns, as one feature's statement takes them. DuckDB has one per type of key. On PostgreSQL a column of the
 * table may be uuid, bigint or citext where the key is a string: the key takes the type that the server infers from where the parameter stands,
 * as it would in the user's own PREPARE. Only so it compares as there, and with the index on the key.
 */
import { entityKey } from '../../definition/entity-key.ts'
import type { Entity, KeyColumn, KeyType } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import { type SourceEngine, SqlError } from '../../store/ports/source-engine.ts'
import type { AnalysedSql } from './rewrite/analysis.ts'
import { type KeyTypes, keyIndex, type Owner, parameterType } from './rewrite/parameters.ts'
import { aloneFor } from './rewrite/statement.ts'

export const KEY_SQL: Readonly<Record<KeyType, string>> = { string: 'VARCHAR', int: 'BIGINT', uuid: 'UUID' }
/** A key that is a text must not be read as a time: "now" would be one. */
const NEVER = /^(?:date|time|interval|ts|"?unknown|regclass)/i
const TEXT = /^(?:text|character varying)$/
const INTEGER = /^(?:smallint|integer|bigint)$/

/** @throws SqlError unavailable */
export async function keyTypesOf(sql: AnalysedSql, owner: Owner, store: SourceEngine): Promise<KeyTypes> {
  const declared = owner.entity.key.map(({ type }) => KEY_SQL[type])
  if (store.dialect === 'duckdb') return declared
  const inferred = await inferTypes(sql, owner, store)
  if (!inferred) return declared
  // Where whole numbers and uuids fit as such, they are: PostgreSQL would infer a text from `SELECT $id`, and 32 bits from `$id + 1`.
  const strict = owner.entity.key.map(({ type }, i) => (type === 'string' ? inferred[i] : declared[i]) ?? 'VARCHAR')
  return strict.join() === inferred.join() || (await binds(sql, { ...owner, keyTypes: strict }, store)) ? strict : inferred
}

/**
 * Checks keys that are strings to Fabra and uuids or whole numbers to the table: one that is neither is told so, before it fails a whole statement.
 * @returns null where every key will do; else per key values what is wrong with them, if anything.
 */
export function keyCheck(entity: Entity, types: KeyTypes): ((values: readonly string[]) => FabraError | null) | null {
  const key = entity.key.map(
    ({ name, type }, i): KeyColumn => ({ name, type: type === 'string' ? (STRICTER[types[i] ?? ''] ?? type) : type }),
  )
  if (key.every(({ type }, i) => type === entity.key[i]?.type)) return null
  const strict = { ...entity, key }
  return (values) => {
    try {
      entityKey(strict, values)
      return null
    } catch (error) {
      if (error instanceof FabraError) return error
      throw error
    }
  }
}

/**
 * Keys of other types (an enum, a numeric, an address) only the engine can read, and it says so by failing the statement. A key that it cannot read
 * alone is at fault; else the query is.
 * @returns what is wrong with the key; null: nothing.
 */
export async function unfitKey(
  owner: UnfitOwner,
  values: readonly string[],
  error: SqlError,
  convert: Convert,
): Promise<FabraError | null> {
  if (error.kind !== 'runtime') return null
  for (const [i, { name }] of owner.entity.key.entries()) {
    const [value = '', type = 'VARCHAR'] = [values[i], owner.keyTypes[i]]
    const isUnfit = type === 'VARCHAR' ? isNamed(error, value) : OWN.has(type) ? false : !(await convert(value, type))
    if (!isUnfit) continue
    const shown = JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
    return new FabraError(
      'invalid_key',
      `${owner.entity.name}.${name}: ${shown} does not convert to the type of the column that it is compared with.`,
      {
        hint: 'Ask for an id that the table can have.',
        cause: error,
      },
    )
  }
  return null
}

export interface UnfitOwner {
  readonly entity: Entity
  readonly keyTypes: KeyTypes
}

/** Whether the engine can read the text as the type. */
export type Convert = (text: string, type: string) => Promise<boolean>

/** Types that are checked before the statement runs. */
const OWN = new Set(['BIGINT', 'UUID', 'uuid'])

/** DuckDB casts a text to the column's type, and names the text that it cannot. */
function isNamed({ message }: SqlError, value: string): boolean {
  return /could not convert|conversion error|invalid input|enum/i.test(message) && message.includes(`'${value}'`)
}

const STRICTER: Readonly<Record<string, KeyType>> = { uuid: 'uuid', BIGINT: 'int' }

/** Undefined where the server cannot tell, or the text does not bind. */
async function inferTypes(sql: AnalysedSql, owner: Owner, store: SourceEngine): Promise<KeyTypes | undefined> {
  const used: number[] = []
  const bare = aloneFor(sql, (written) => {
    const index = keyIndex(written, owner.entity)
    if (index === -1) return `CAST(NULL AS ${parameterType(written, { ...owner, keyTypes: [] })})`
    if (!used.includes(index)) used.push(index)
    return `$${used.indexOf(index) + 1}`
  })
  const prepared = await prepareOrNot(bare.text, store)
  return prepared && owner.entity.key.map(({ type }, i) => usable(prepared.parameters[used.indexOf(i)], type))
}

function usable(inferred: string | undefined, declared: KeyType): string {
  if (inferred === undefined || NEVER.test(inferred)) return KEY_SQL[declared]
  if (TEXT.test(inferred)) return 'VARCHAR'
  return INTEGER.test(inferred) ? 'BIGINT' : inferred
}

async function binds(sql: AnalysedSql, owner: Owner & { readonly keyTypes: KeyTypes }, store: SourceEngine): Promise<boolean> {
  const typed = aloneFor(sql, (written) => `CAST(NULL AS ${parameterType(written, owner)})`)
  return (await prepareOrNot(typed.text, store)) !== undefined
}

async function prepareOrNot(text: string, store: SourceEngine) {
  try {
    return await store.prepare(text)
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return undefined
  }
}
