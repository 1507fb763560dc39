import { FabraError } from '../errors.ts'

/** A row's own error, with its place in the request before it. */
export function rowError(index: number, error: unknown): unknown {
  if (!(error instanceof FabraError)) return error
  return new FabraError(error.code, `Row ${index}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  })
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
