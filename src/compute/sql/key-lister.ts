import type { Clock } from '../../clock.ts'
import { ChunkedList, type List, mapped } from '../../collections/chunked-list.ts'
import { KeyIndex } from '../../collections/key-index.ts'
import { decodeKey, type EntityKey, entityKey } from '../../definition/entity-key.ts'
import type { Entity, Registry } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { DbResult, RowReader } from '../db.ts'

const TIMEOUT_MS = 30_000

export interface ListedKeys {
  /** Each once. */
  readonly keys: List<EntityKey>
  /** Rows that are no key (empty, too long, of another type): left out, so that the others are refreshed. */
  readonly skipped: Skipped
}

export interface Skipped {
  readonly count: number
  /** What is wrong with the first of them; null: there is none. */
  readonly why: string | null
}

/** All keys of an entity that lists them (`keys: "SELECT …"`); undefined when it does not. @throws FabraError */
export type KeyLister = (entity: string) => Promise<ListedKeys | undefined>

export function createKeyLister(options: { readonly registry: Registry; readonly db: RowReader; readonly clock: Clock }): KeyLister {
  return async (name) => {
    const entity = options.registry.entities.get(name)
    if (!entity || entity.keys === null) return undefined
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const encoded = new ChunkedList<string>()
    const seen = new KeyIndex((row) => encoded.at(row))
    let rows = 0
    let skipped: Skipped = { count: 0, why: null }
    await options.db.read(entity.keys, { asOf: options.clock.now(), mode: 'present', signal, timeoutMs: TIMEOUT_MS }, (result) => {
      const columns = keyColumns(entity, result)
      for (const row of result.rows) {
        rows++
        const values = columns.map((column) => row[column])
        const key = keyOrWhy(entity, values)
        if (typeof key === 'string') {
          skipped = { count: skipped.count + 1, why: skipped.why ?? `row ${rows}: ${key}` }
          continue
        }
        if (seen.of(key.encoded) !== undefined) continue
        seen.add(key.encoded, encoded.length)
        encoded.push(key.encoded)
      }
    })
    return { keys: mapped(encoded, (text) => decodeKey(entity, text)), skipped }
  }
}

function keyOrWhy(entity: Entity, values: readonly unknown[]): EntityKey | string {
  try {
    return entityKey(entity, values)
  } catch (error) {
    if (error instanceof FabraError) return error.message
    throw error
  }
}

/** By name when the query names them, else in order. */
function keyColumns(entity: Entity, result: DbResult): number[] {
  const named = entity.key.map((column) => result.columns.indexOf(column.name))
  if (!named.includes(-1)) return named
  if (result.columns.length === entity.key.length) return entity.key.map((_, i) => i)
  const wanted = entity.key.map((column) => column.name).join(', ')
  throw new FabraError('feature_failed', `The keys query of ${entity.name} does not give ${wanted}.`, { hint: `Select exactly ${wanted}.` })
}
