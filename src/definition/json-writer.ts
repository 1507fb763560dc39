import { FabraError } from '../errors.ts'
import { show } from './show.ts'

/** Bytes of UTF-8 that a value's JSON text may take. */
export const MAX_VALUE_BYTES = 64 * 1024
/** How deep lists and objects may nest. */
export const MAX_VALUE_DEPTH = 32

/**
 * JSON text of lists, objects and whatever they hold. Unlike JSON.stringify it drops and changes nothing: what JSON cannot say is an error
 * that names the place (`a.b[3]`).
 * @param options.maps Whether a Map with text keys counts as an object.
 * @throws FabraError wrong_type or value_too_large
 */
export function writeJson(value: unknown, options: { readonly maps: boolean }): string {
  return new JsonWriter(options.maps).write(value)
}

/** Keeps the way down to the value it is at, so that errors name the place and cycles end. */
class JsonWriter {
  readonly #above: object[] = []
  /** Key or index taken at each level. */
  readonly #path: (string | number)[] = []
  readonly #maps: boolean
  #length = 0

  constructor(maps: boolean) {
    this.#maps = maps
  }

  write(value: unknown): string {
    if (value === null) return 'null'
    switch (typeof value) {
      case 'boolean':
        return String(value)
      case 'bigint':
        return value.toString()
      case 'number':
        if (Number.isFinite(value)) return numberText(value)
        throw this.#wrong(`expected JSON, got ${value}`, 'NaN and Infinity cannot be stored. Use null when nothing is known.')
      case 'string':
        return this.#text(value)
      case 'object':
        return this.#nested(value)
      default:
        throw this.#wrong(`expected JSON, got ${describe(value)}`, 'Leave it out, or use null.')
    }
  }

  #text(value: string): string {
    if (value.isWellFormed()) return JSON.stringify(value)
    throw this.#wrong('expected valid Unicode, got a string with a lone surrogate', 'Cut texts between characters, or use toWellFormed().')
  }

  #nested(value: object): string {
    if (this.#above.includes(value)) throw this.#wrong('expected JSON, got an object that contains itself', 'JSON has no cycles.')
    if (this.#above.length >= MAX_VALUE_DEPTH)
      throw wrong(`expected at most ${MAX_VALUE_DEPTH} levels of nesting, got more.`, 'Flatten the value.')
    this.#above.push(value)
    const text = Array.isArray(value) ? this.#list(value) : this.#object(value)
    this.#above.pop()
    return text
  }

  #list(list: readonly unknown[]): string {
    const depth = this.#path.length
    const parts: string[] = []
    for (let i = 0; i < list.length; i++) {
      this.#path[depth] = i
      if (!Object.hasOwn(list, i)) throw this.#wrong('expected JSON, got a list with a hole', 'Fill it with null.')
      parts.push(this.#counted(this.write(list[i])))
    }
    this.#path.length = depth
    if (Object.keys(list).length !== list.length) throw this.#wrong('expected a list, got a list with named properties', 'Use an object.')
    return `[${parts.join(',')}]`
  }

  #object(object: object): string {
    const depth = this.#path.length
    const parts: string[] = []
    const add = (key: unknown, part: unknown) => {
      if (typeof key !== 'string') throw this.#wrong(`expected text keys, got ${describe(key)} as a key`, 'Keys are strings.')
      this.#path[depth] = key
      parts.push(`${this.#counted(this.#text(key))}:${this.#counted(this.write(part))}`)
      this.#path.length = depth
    }
    if (this.#maps && object instanceof Map) {
      for (const [key, part] of object) add(key, part)
    } else {
      const plain = this.#plain(object)
      for (const key of Object.keys(plain)) add(key, plain[key])
    }
    return `{${parts.join(',')}}`
  }

  #plain(object: object): Readonly<Record<string, unknown>> {
    if (!isPlainObject(object)) throw this.#wrong(`expected JSON, got ${describe(object)}`, plainHint(object))
    if (Object.getOwnPropertySymbols(object).length > 0) throw this.#wrong('expected text keys, got a symbol as a key', 'Keys are strings.')
    return object as Readonly<Record<string, unknown>>
  }

  /** Ends the work on a value that is too long anyway: shared parts can make a small object endless on paper. */
  #counted(text: string): string {
    this.#length += text.length
    // Each level counts what the levels below it have counted.
    if (this.#length > MAX_VALUE_BYTES * (MAX_VALUE_DEPTH + 1)) throw tooLarge('far more')
    return text
  }

  #wrong(message: string, hint: string): FabraError {
    let path = ''
    for (const step of this.#path) path += typeof step === 'number' ? `[${step}]` : `${path === '' ? '' : '.'}${step}`
    return wrong(`${message}${path === '' ? '' : ` at ${path.length > 80 ? `${path.slice(0, 80)}…` : path}`}.`, hint)
  }
}

/** A finite number as JSON that is read back as the same number. */
export function numberText(value: number): string {
  // String() would lose the sign.
  if (Object.is(value, -0)) return '-0'
  // Written out, a large float would be read back as a whole number that it is not exactly.
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value)
}

/** Made by `{}`, `Object.create(null)` or their like in another realm; not by a class. */
export function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
}

/** What a value is, for messages: `a list`, `the string "x"`. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (isPlainObject(value)) return 'an object'
  if (typeof value === 'string') return `the string ${show(value)}`
  if (typeof value === 'number' || typeof value === 'boolean')
    return `${value === true || value === false ? 'the bool' : 'the number'} ${value}`
  if (typeof value === 'bigint') return `the whole number ${value}`
  if (value instanceof Promise) return 'a promise that was not awaited'
  return typeof value === 'symbol' ? 'a symbol' : show(value)
}

export function wrong(message: string, hint: string): FabraError {
  return new FabraError('wrong_type', message, { hint })
}

export function tooLarge(bytes: string): FabraError {
  return new FabraError('value_too_large', `expected at most ${MAX_VALUE_BYTES} bytes of JSON, got ${bytes}.`, {
    hint: 'A feature value holds up to 64 KiB. Store less, or a reference to it.',
  })
}

function plainHint(value: object): string {
  if (value instanceof Date) return 'Give a text: date.toISOString().'
  if (value instanceof Map) return 'Give a plain object: Object.fromEntries(map).'
  if (value instanceof Set || ArrayBuffer.isView(value)) return 'Give an array: Array.from(…).'
  return 'Give plain objects, arrays, texts, numbers, booleans and null only.'
}
