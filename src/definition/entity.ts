import { type Definition, define, type EntityDraft } from './draft.ts'
import type { KeyColumn, KeyType, SourceLocation } from './model.ts'
import { COLUMN_NAME, RESERVED } from './naming.ts'
import { type OptionReader, readOptions, suggestValue } from './options.ts'
import { show } from './show.ts'
import { callPlace } from './source-location.ts'

const OPTIONS = ['key', 'keys', 'description', 'owner', 'tags']
const EXAMPLE = 'entity("User", { key: "user_id" })'
const KEY_TYPES: readonly KeyType[] = ['string', 'int', 'uuid']

/** See fabra.d.ts. */
export function entity(name: unknown, given?: unknown): Definition<'entity'> {
  return define(readEntity(name, given, callPlace()))
}

export function readEntity(name: unknown, given: unknown, location: SourceLocation | null): EntityDraft {
  const options = readOptions('entity', given ?? {}, OPTIONS, EXAMPLE)
  const nameText = checkName(name, options)
  return {
    kind: 'entity',
    name: nameText,
    key: readKey(options),
    keys: options.text('keys'),
    description: options.text('description'),
    owner: options.text('owner'),
    tags: options.texts('tags'),
    location,
    complaints: options.complaints,
  }
}

function checkName(name: unknown, options: OptionReader): string {
  if (typeof name !== 'string') {
    options.complain(`entity() needs a name first, got ${show(name)}.`, `Write ${EXAMPLE}.`)
    return ''
  }
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
    options.complain(`${show(name)} cannot be an entity's name.`, 'Start with a letter and use letters, digits and "_": "User".')
  }
  return name
}

function readKey(options: OptionReader): readonly KeyColumn[] {
  const given = options.raw('key')
  const columns = keyColumns(given)
  if (columns === null || columns.length === 0) {
    const what = given === undefined ? 'key is missing' : `key ${show(given)} does not name columns`
    options.complain(`${what}.`, 'Write key: "user_id", key: ["user_id", "merchant_id"] or key: { user_id: "int" }.')
    return []
  }
  const key: KeyColumn[] = []
  for (const [name, type] of columns) {
    checkKeyColumn(name, options)
    if (key.some((column) => column.name.toLowerCase() === name.toLowerCase())) {
      options.complain(`key names the column "${name}" twice.`, 'Name each column once.')
    }
    const keyType = KEY_TYPES.find((one) => one === type)
    if (keyType === undefined) options.complain(`key column "${name}" has the type ${show(type)}.`, suggestValue(type, KEY_TYPES))
    key.push({ name, type: keyType ?? 'string' })
  }
  return key
}

function keyColumns(given: unknown): [string, unknown][] | null {
  if (typeof given === 'string') return [[given, 'string']]
  if (Array.isArray(given)) {
    // Spread, because every() and map() pass over holes.
    const names: unknown[] = [...given]
    return names.every((name) => typeof name === 'string') ? names.map((name) => [name, 'string']) : null
  }
  return typeof given === 'object' && given !== null ? Object.entries(given) : null
}

function checkKeyColumn(name: string, options: OptionReader): void {
  if (!COLUMN_NAME.test(name)) {
    options.complain(`${show(name)} cannot be a key column.`, 'Start with a letter and use letters, digits and "_": "user_id".')
  } else if (RESERVED.includes(name.toLowerCase())) {
    options.complain(`"${name}" cannot be a key column: the name has its own meaning in requests.`, `Reserved are ${RESERVED.join(', ')}.`)
  }
}
