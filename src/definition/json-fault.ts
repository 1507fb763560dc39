/**
 * Where a text that JSON.parse or parseExact refuses goes wrong. Only on the way to an error, so it may take its time: it reads the text once
 * more, a piece at a time, and stops at the first that is no JSON, or a number that no number holds.
 */
import { MAX_DIGITS } from './exact-json.ts'

export interface JsonFault {
  /** What stands there, as it begins a sentence: `NaN is no JSON`. */
  readonly what: string
  /** From 1. */
  readonly line: number
  /** Characters from 1. */
  readonly column: number
  /** `rows[2].value`; empty at the top. */
  readonly path: string
  readonly hint: string | null
}

const SPACE = /[ \t\r\n]*/y
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y
const WORD = /[-+]?[\p{L}_$][\p{L}\p{N}_$]*/uy
const NOT_NUMBERS = /^[-+]?(?:nan|inf|infinity)$/i
const SHOWN = 40

/** A place in the text being read; `true` from a reader means that what it read is JSON. */
class Reader {
  readonly #text: string
  readonly #distinct: boolean
  readonly #path: (string | number)[] = []
  #at = 0
  #fault: JsonFault | undefined

  constructor(text: string, distinct: boolean) {
    this.#text = text
    this.#distinct = distinct
  }

  fault(): JsonFault | undefined {
    if (!this.#value()) return this.#fault
    this.#match(SPACE)
    if (this.#at < this.#text.length) this.#stop(`After the JSON stands ${this.#shown()}`)
    return this.#fault
  }

  #value(): boolean {
    this.#match(SPACE)
    const start = this.#text[this.#at]
    if (start === undefined) return this.#stop('The JSON ends too early')
    if (start === '{') return this.#members()
    if (start === '[') return this.#items()
    if (start === '"') return this.#match(STRING) !== undefined || this.#stop('A text is not closed, or holds what JSON wants escaped')
    const begin = this.#at
    const number = this.#match(NUMBER)
    if (number !== undefined) return this.#number(number, begin)
    const word = this.#match(WORD)
    if (word === 'true' || word === 'false' || word === 'null') return true
    this.#at = begin
    if (word === undefined) return this.#stop(`${this.#shown()} is no JSON`)
    return this.#stop(`${word.slice(0, SHOWN)} is no JSON`, NOT_NUMBERS.test(word) ? 'Send null where nothing is known.' : null)
  }

  #number(text: string, begin: number): boolean {
    const isWhole = /^-?\d+$/.test(text)
    if (isWhole ? text.length <= MAX_DIGITS : Number.isFinite(Number(text))) return true
    this.#at = begin
    const shown = text.length > SHOWN ? `A number of ${text.length} characters` : text
    return this.#stop(`${shown} is larger than any number can be`, 'Send it as a text.')
  }

  #members(): boolean {
    const names = new Set<string>()
    return this.#list('}', () => {
      this.#match(SPACE)
      const begin = this.#at
      const name = this.#match(STRING)
      if (name === undefined && this.#at === this.#text.length) return this.#stop('The JSON ends too early')
      if (name === undefined) return this.#stop(`${this.#shown()} stands where a name in double quotes must`)
      const key = JSON.parse(name) as string
      if (this.#distinct && names.size === names.add(key).size) {
        this.#at = begin
        return this.#stop(`The key ${name.slice(0, SHOWN)} is there twice`, 'Give each key once.')
      }
      this.#match(SPACE)
      if (this.#text[this.#at] !== ':') return this.#stop(`A colon is missing after ${this.#text.slice(begin, this.#at).slice(0, SHOWN)}`)
      this.#at++
      this.#path.push(key)
      return this.#value()
    })
  }

  #items(): boolean {
    let index = 0
    return this.#list(']', () => {
      this.#path.push(index++)
      return this.#value()
    })
  }

  /** @param one Reads one part and leaves its name or index on the path. */
  #list(end: string, one: () => boolean): boolean {
    // A text that nests without end would end this function instead.
    if (this.#path.length > 1000) return this.#stop('It nests too deep')
    this.#at++
    this.#match(SPACE)
    if (this.#text[this.#at] === end) {
      this.#at++
      return true
    }
    for (;;) {
      if (!one()) return false
      this.#path.pop()
      this.#match(SPACE)
      const next = this.#text[this.#at]
      if (next !== end && next !== ',')
        return this.#stop(next === undefined ? 'The JSON ends too early' : `A comma is missing before ${this.#shown()}`)
      this.#at++
      if (next === end) return true
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #shown(): string {
    return JSON.stringify(this.#text.slice(this.#at, this.#at + SHOWN).split('\n', 1)[0])
  }

  #stop(what: string, hint: string | null = null): false {
    const before = this.#text.slice(0, this.#at)
    const line = before.split('\n').length
    const path = this.#path.map((part) =>
      typeof part === 'number' ? `[${part}]` : /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`,
    )
    this.#fault = { what, line, column: this.#at - before.lastIndexOf('\n'), path: path.join('').replace(/^\./, '').slice(0, 200), hint }
    return false
  }
}

/** The first fault of a text; undefined where there is none. @param distinct Whether a key that is there twice is one, as for `parseDistinct`. */
export function jsonFault(text: string, distinct = false): JsonFault | undefined {
  return new Reader(text, distinct).fault()
}

/** `NaN is no JSON, at line 1, column 34 (rows[0].value).` */
export function faultSentence({ what, line, column, path }: JsonFault): string {
  return `${what}, at line ${line}, column ${column}${path === '' ? '' : ` (${path})`}.`
}
