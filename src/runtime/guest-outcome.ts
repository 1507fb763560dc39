/** What becomes of what a user's function gave or threw. */
import type { CallFailure, CallOutcome } from '../compute/function-runner.ts'
import { declaredType } from '../definition/declared-type.ts'
import type { DeclaredType, FeatureColumn } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { DefinedFunction } from './frames.ts'
import { RefusedEffect } from './guest-limits.ts'

/** @throws FabraError wrong_type or value_too_large, in the words of the type. */
export type Encode = (type: DeclaredType, value: unknown) => string

/** The function's value as one text per column. */
export function outcomeOf(encode: Encode, fn: DefinedFunction, value: unknown): CallOutcome {
  try {
    if (value === undefined) {
      throw new FabraError('wrong_type', 'the function returned nothing.', {
        hint: 'Return a value, or null when it is known that there is none.',
      })
    }
    return { texts: textsOf(encode, fn, value) }
  } catch (error) {
    if (error instanceof FabraError) return { texts: null, error: callFailure(error) }
    return failureOf(error)
  }
}

/** @param count Of the keys that it was called with. */
export function batchOutcomeOf(
  encode: Encode,
  fn: DefinedFunction,
  value: unknown,
  count: number,
): { elements: CallOutcome[] } | { error: CallFailure } {
  if (!Array.isArray(value)) {
    const hint = 'A function with batch gets a list of keys and returns a list with one value a key, in their order.'
    return { error: { code: 'wrong_type', message: `the function returned ${describe(value)} for ${count} keys.`, hint } }
  }
  if (value.length !== count) {
    const hint = 'Return one value a key, in the order of the keys; null when it is known that there is none.'
    return { error: { code: 'wrong_type', message: `the function returned ${value.length} values for ${count} keys.`, hint } }
  }
  return { elements: Array.from(value, (element: unknown) => elementOf(encode, fn, element)) }
}

function elementOf(encode: Encode, fn: DefinedFunction, element: unknown): CallOutcome {
  if (element instanceof Error) return failureOf(element)
  if (element !== undefined) return outcomeOf(encode, fn, element)
  const hint = 'Give each key its value, null when it is known that there is none, or an Error where it failed.'
  return { texts: null, error: { code: 'wrong_type', message: 'the list that the function returned has nothing in its place.', hint } }
}

function textsOf(encode: Encode, { columns, nan }: DefinedFunction, value: unknown): string[] {
  const encodeAs = (type: DeclaredType | null, part: unknown) =>
    nan === 'null' && type === 'float' && Number.isNaN(part) ? 'null' : encode(type ?? 'json', part)
  const [first] = columns
  return first?.name === null ? [encodeAs(declaredType(first), value)] : encodeColumns(encodeAs, columns, value)
}

function encodeColumns(
  encode: (type: DeclaredType | null, part: unknown) => string,
  columns: readonly FeatureColumn[],
  value: unknown,
): string[] {
  const names = columns.map((column) => column.name ?? '')
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FabraError('wrong_type', `expected an object with ${names.join(', ')}, got ${describe(value)}.`, {
      hint: 'Return an object with one property per declared column.',
    })
  }
  const texts = columns.map((column) => {
    const part: unknown = Object.hasOwn(value, column.name ?? '') ? (value as Record<string, unknown>)[column.name ?? ''] : undefined
    if (part === undefined) {
      throw new FabraError('wrong_type', `the object it returned has no "${column.name}".`, {
        hint: `Return ${names.join(', ')}; null where nothing is known.`,
      })
    }
    try {
      return encode(declaredType(column), part)
    } catch (error) {
      if (!(error instanceof FabraError)) throw error
      throw new FabraError(error.code, `column "${column.name}": ${error.message}`, error.hint === undefined ? {} : { hint: error.hint })
    }
  })
  refuseOthers(names, value)
  return texts
}

/** What is given beside the declared columns would be dropped, and its author never know. */
function refuseOthers(names: readonly string[], value: object): void {
  const other = Object.entries(value).find(([name, part]) => part !== undefined && !names.includes(name))
  if (other === undefined) return
  throw new FabraError('wrong_type', `the object it returned has "${other[0]}", which is no column of the feature.`, {
    hint: `Declare it under columns, or return ${names.join(', ')} alone.`,
  })
}

/** An error of ours that passed through the user's function keeps its code; anything else is the function's own failure. */
export function failureOf(error: unknown): { texts: null; error: CallFailure } {
  const thrown = error instanceof Error ? userStack(error) : `thrown: ${Bun.inspect(error)}`
  const base: CallFailure = error instanceof FabraError ? callFailure(error) : { code: 'feature_failed', message: '' }
  const shown = error instanceof RefusedEffect
  return { texts: null, error: shown ? { ...base, thrown, shown } : { ...base, thrown } }
}

/** The stack down to where Fabra called the function. */
export function userStack(error: Error): string {
  const head = `${error.name}: ${error.message}`
  const lines = (error.stack ?? head).split('\n')
  const boundary = lines.findIndex((line) => line.includes('node:async_hooks'))
  const own = boundary < 0 ? lines : lines.slice(0, boundary)
  const cause = error.cause === undefined ? '' : `\n  cause: ${Bun.inspect(error.cause)}`
  return `${own.join('\n')}${cause}`
}

function callFailure(error: FabraError): CallFailure {
  return error.hint === undefined
    ? { code: error.code, message: error.message }
    : { code: error.code, message: error.message, hint: error.hint }
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'nothing'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
