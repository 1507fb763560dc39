import { KeyRows, NumberColumns, ValueColumn } from '../../collections/column-store.ts'
import { createDoubts } from '../ports/doubts.ts'
import type { Erasure } from '../ports/erasure.ts'
import type { OnlineStore, StoredValue } from '../ports/online-store.ts'
import { LateValue, type TextReader } from '../ports/stored-value.ts'
import { replaces, type ValueOrder } from '../ports/value-order.ts'
import { createErasures } from '../recording/erasures.ts'

/** One entity: a row per key, and columns for each field. */
interface EntityTable {
  readonly rows: KeyRows
  readonly fields: Map<string, Field>
  /** Fields of lists asked for before: a plan asks with the same list object every time. */
  readonly known: WeakMap<readonly string[], readonly Field[]>
}

/** The values of one field. */
interface Field {
  /** Undefined: nothing is stored. One text: as it is recorded, not taken apart yet. */
  readonly texts: ValueColumn<StoredValue['texts'] | string>
  readonly numbers: NumberColumns
  read: TextReader
}

/** Columns of a field's numbers. */
const EVENT_AT = 0
const AVAILABLE_AT = 1
const SEQ = 2
/** NaN: null. */
const OLDEST_INPUT_AT = 3
const ORIGIN = 4
const ORIGINS = ['computed', 'pushed', 'backfill'] as const

/** Latest values in this process. Gone at exit; rewarmed from history at start. */
export function createMemoryOnlineStore(): OnlineStore {
  const tables = new Map<string, EntityTable>()
  const known = createErasures([])
  const filled = new Set<string>()

  const tableOf = (entity: string): EntityTable => {
    let table = tables.get(entity)
    if (!table) {
      table = { rows: new KeyRows(), fields: new Map(), known: new WeakMap() }
      tables.set(entity, table)
    }
    return table
  }

  return {
    read(entity, keys, fields) {
      const table = tables.get(entity)
      const columns = table ? fieldsOf(table, fields) : []
      const found: (StoredValue | undefined)[][] = new Array(keys.length)
      for (let k = 0; k < keys.length; k++) {
        const row = table?.rows.of(keys[k] as string)
        const values: (StoredValue | undefined)[] = new Array(fields.length)
        for (let f = 0; f < fields.length; f++) values[f] = row === undefined ? undefined : valueAt(columns[f], row)
        found[k] = values
      }
      return found
    },
    lastRead: (_entity, _key, fields) => fields.map(() => undefined),
    async write(writes) {
      const refused: number[] = []
      const erasures: Erasure[] = []
      const replacedForeign: number[] = []
      const winner: { index: number; value: StoredValue }[] = []
      for (let i = 0; i < writes.length; i++) {
        const { entity, key, field, value, after } = writes[i] as (typeof writes)[number]
        const erasure = known.at(entity, key)
        if (erasure !== undefined && value.eventAt <= erasure) {
          refused.push(i)
          erasures.push({ entity, entityKey: key, at: erasure })
          continue
        }
        const table = tableOf(entity)
        const column = fieldOf(table, field)
        const row = table.rows.of(key) ?? table.rows.add(key)
        const isThere = column.texts.get(row) !== undefined
        const isNewer = !isThere || replaces(value, orderAt(column.numbers, row))
        // There is no other process.
        if (isThere && after === 'other_origin' && ORIGINS[column.numbers.get(row, ORIGIN)] !== value.origin) {
          const stored = valueAt(column, row)
          if (isNewer) replacedForeign.push(i)
          else if (stored) winner.push({ index: i, value: stored })
        }
        if (isNewer) put(column, row, value)
        else refused.push(i)
      }
      return { refused, erasures, replacedForeign, winner }
    },
    async forget(erasure) {
      known.add(erasure)
      const table = tables.get(erasure.entity)
      const row = table?.rows.drop(erasure.entityKey)
      if (!table || row === undefined) return 0
      let count = 0
      for (const { texts } of table.fields.values()) {
        if (texts.get(row) === undefined) continue
        texts.set(row, undefined)
        count++
      }
      return count
    },
    async addErasures(erasures) {
      for (const erasure of erasures) {
        known.add(erasure)
        const table = tables.get(erasure.entity)
        const row = table?.rows.of(erasure.entityKey)
        if (!table || row === undefined) continue
        for (const { texts, numbers } of table.fields.values()) if (numbers.get(row, EVENT_AT) <= erasure.at) texts.set(row, undefined)
      }
    },
    erasuresSince: async (at) => known.since(at),
    filled: async (fields) => fields.map((field) => filled.has(field)),
    async markFilled(field) {
      filled.add(field)
    },
    doubts: createDoubts(),
    isShared: false,
    look: async () => undefined,
    restore: async () => [],
    async close() {
      tables.clear()
    },
  }
}

function valueAt(field: Field | undefined, row: number): StoredValue | undefined {
  let texts = field?.texts.get(row)
  if (!field || texts === undefined) return undefined
  if (typeof texts === 'string') {
    texts = field.read(texts)
    field.texts.set(row, texts)
  }
  const { numbers } = field
  const oldestInputAt = numbers.get(row, OLDEST_INPUT_AT)
  return {
    texts,
    eventAt: numbers.get(row, EVENT_AT),
    availableAt: numbers.get(row, AVAILABLE_AT),
    seq: numbers.get(row, SEQ),
    origin: ORIGINS[numbers.get(row, ORIGIN)] ?? 'computed',
    oldestInputAt: Number.isNaN(oldestInputAt) ? null : oldestInputAt,
  }
}

function put(field: Field, row: number, value: StoredValue): void {
  const { texts, numbers } = field
  if (value instanceof LateValue) {
    field.read = value.read
    texts.set(row, value.recorded)
  } else texts.set(row, value.texts)
  numbers.set(row, EVENT_AT, value.eventAt)
  numbers.set(row, AVAILABLE_AT, value.availableAt)
  numbers.set(row, SEQ, value.seq)
  numbers.set(row, OLDEST_INPUT_AT, value.oldestInputAt ?? Number.NaN)
  numbers.set(row, ORIGIN, ORIGINS.indexOf(value.origin))
}

function orderAt(numbers: NumberColumns, row: number): ValueOrder {
  return { eventAt: numbers.get(row, EVENT_AT), availableAt: numbers.get(row, AVAILABLE_AT), seq: numbers.get(row, SEQ) }
}

function fieldOf(table: EntityTable, name: string): Field {
  let field = table.fields.get(name)
  if (!field) {
    field = { texts: new ValueColumn(), numbers: new NumberColumns(ORIGIN + 1), read: unread }
    table.fields.set(name, field)
  }
  return field
}

/** Of a field that was never filled with what is recorded. */
const unread: TextReader = (recorded) => [recorded]

/** A field never written is not there yet; such lists are not remembered. */
function fieldsOf(table: EntityTable, names: readonly string[]): readonly (Field | undefined)[] {
  const known = table.known.get(names)
  if (known) return known
  const fields = names.map((name) => table.fields.get(name))
  const found = fields.filter((field) => field !== undefined)
  if (found.length === names.length) table.known.set(names, found)
  return fields
}
