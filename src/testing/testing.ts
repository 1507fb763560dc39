/**
 * `fabra/test` of the npm package: asks the executable what features are, given rows of their sources. fabra-test.d.ts declares it. Nothing but what Node and Bun
 * both have.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

/** A computation may take half a minute, and a store is opened before the first. */
const DEADLINE_MS = 180_000

type Rows = Readonly<Record<string, readonly unknown[]>>
type Fields = Readonly<Record<string, unknown>>

interface Answer {
  readonly value?: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string | null }
}

export class FabraError extends Error {
  override readonly name = 'FabraError'
  readonly code: string
  readonly hint: string | undefined

  constructor(code: string, message: string, hint?: string | null) {
    super(hint ? `${message} ${hint}` : message)
    this.code = code
    this.hint = hint ?? undefined
  }
}

export class Expectation {
  readonly #value: () => Promise<unknown>
  readonly #what: string

  constructor(value: () => Promise<unknown>, what: string) {
    this.#value = value
    this.#what = what
  }

  async toBe(expected: unknown): Promise<void> {
    const value = await this.#value()
    if (text(value) === text(expected)) return
    throw new AssertionError(`${this.#what}\n  expected ${text(expected)}\n  came     ${text(value)}`, value, expected)
  }
}

/** Test runners show both sides of it. */
class AssertionError extends Error {
  override readonly name = 'AssertionError'
  readonly code = 'ERR_ASSERTION'
  readonly actual: unknown
  readonly expected: unknown

  constructor(message: string, actual: unknown, expected: unknown) {
    super(message)
    this.actual = actual
    this.expected = expected
  }
}

export async function testStore(...files: readonly string[]) {
  const child = spawn(program(), ['test', '--serve', ...files], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ask = dialogue(child)
  const moment = (at: string, given: Rows) => {
    const value = (feature: string, key: unknown, inputs: Fields = {}) => ask({ at, given, feature, key, inputs })
    return Object.freeze({
      given: (more: Rows) => moment(at, { ...given, ...more }),
      value,
      expect: (feature: string, key: unknown, inputs?: Fields) =>
        new Expectation(() => value(feature, key, inputs), `${feature} of ${text(key)} at ${at}`),
    })
  }
  const close = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('close', resolve))
    child.stdin.end()
    await gone
  }
  return Object.freeze({
    at: (time: string | Date) => moment(typeof time === 'string' ? time : time.toISOString(), {}),
    close,
    [Symbol.asyncDispose]: close,
  })
}

/** Answers come in the order of the questions. The process does not wait for the store: whoever forgets to close it ends all the same. */
function dialogue(child: ChildProcessWithoutNullStreams): (question: object) => Promise<unknown> {
  const waiting: { readonly resolve: (line: string) => void; readonly reject: (error: Error) => void }[] = []
  let words = ''
  let gone: FabraError | undefined
  const end = (why: string) => {
    gone ??= new FabraError('io_failed', `${why}\n${words.trim()}`)
    for (const { reject } of waiting.splice(0)) reject(gone)
    hold(child, false)
  }
  child.stderr.on('data', (bytes) => {
    words = (words + String(bytes)).slice(-10_000)
  })
  child.stdin.on('error', () => undefined)
  child.on('error', (error) =>
    end(`fabra test could not be started: ${error.message}. Install the npm package "fabra", or put fabra on PATH.`),
  )
  child.on('close', (code, signal) => end(`fabra test ended with ${signal ?? code} and gave no answer.`))
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting.shift()?.resolve(line)
    if (waiting.length === 0) hold(child, false)
  })
  hold(child, false)
  return async (question) => {
    if (gone) throw gone
    const { promise, resolve, reject } = deferred<string>()
    waiting.push({ resolve, reject })
    hold(child, true)
    const late = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
    try {
      child.stdin.write(`${text(question)}\n`)
      const { value, error } = JSON.parse(await promise, exact) as Answer
      if (error) throw new FabraError(error.code, error.message, error.hint)
      return value
    } finally {
      clearTimeout(late)
    }
  }
}

function hold(child: ChildProcessWithoutNullStreams, on: boolean): void {
  const all: readonly unknown[] = [child, child.stdin, child.stdout, child.stderr]
  for (const one of all as readonly { ref?(): void; unref?(): void }[]) on ? one.ref?.() : one.unref?.()
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Whole numbers beyond 2^53, where the platform tells their digits. */
function exact(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  return context?.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
}

/** JSON with the fields of objects in one order, and bigints as the numbers they are. */
function text(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map((one) => text(one)).join(',')}]`
  if (typeof value !== 'object' || value === null || value instanceof Date) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, one]) => one !== undefined)
  return `{${fields
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]) => `${JSON.stringify(name)}:${text(one)}`)
    .join(',')}}`
}

/** The package of this system beside ours, else what is on PATH. */
function program(): string {
  const name = `@fabra/${process.platform}-${process.arch}/bin/fabra`
  try {
    return createRequire(import.meta.url).resolve(name)
  } catch {
    return 'fabra'
  }
}
