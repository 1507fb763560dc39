import { FabraError } from '../errors.ts'
import { declaredType } from './declared-type.ts'
import type { FeatureColumn } from './model.ts'
import type { OptionReader } from './options.ts'
import { show } from './show.ts'
import { encodeValue } from './value.ts'

/** The option `default` as JSON text per column; null when there is none. A type that the query decides is checked when it is known. */
export function readDefaults(columns: readonly FeatureColumn[], options: OptionReader): readonly string[] | null {
  if (!options.has('default')) return null
  const given = options.raw('default')
  if (given === null) return columns.map(() => 'null')
  const first = columns[0]
  if (first?.name === null) return checked([encodeDefault(first, given, 'default', options)])
  const names = columns.map((column) => column.name ?? '')
  const example = `Write default: { ${names.map((name) => `${name}: …`).join(', ')} }.`
  if (typeof given !== 'object' || Array.isArray(given)) {
    options.complain(`default must be an object with every column, got ${show(given)}.`, example)
    return null
  }
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) options.complain(`default has "${name}", which is no column.`, `The columns are ${names.join(', ')}.`)
  }
  const texts = columns.map((column) => {
    const name = column.name ?? ''
    const part: unknown = Object.hasOwn(given, name) ? (given as Record<string, unknown>)[name] : undefined
    if (part !== undefined) return encodeDefault(column, part, `default of "${name}"`, options)
    options.complain(`default has no "${name}".`, `${example} Null stands for "known to be nothing".`)
    return null
  })
  return checked(texts)
}

function encodeDefault(column: FeatureColumn, value: unknown, what: string, options: OptionReader): string | null {
  try {
    return encodeValue(declaredType(column) ?? 'json', value)
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    options.complain(`${what}: ${error.message}`, error.hint ?? '')
    return null
  }
}

function checked(texts: readonly (string | null)[]): readonly string[] | null {
  const whole = texts.filter((text) => text !== null)
  return whole.length === texts.length ? whole : null
}
