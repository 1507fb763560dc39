/** Files of cases that `fabra test` runs: what the values of features are, given rows of sources at a time. */
import { existsSync, statSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { Glob } from 'bun'
import { parseExact, stringifyExact } from '../definition/exact-json.ts'
import { parseTime } from '../definition/time.ts'
import { FabraError, suggest } from '../errors.ts'

export const GOLDEN = /\.golden\.jsonl?$/
const CASE = ['name', 'at', 'given', 'feature', 'key', 'inputs', 'value']
const FILE = ['file', 'at', 'given', 'cases']
/** A line of a golden file that is written by us is broken from here on. */
const WIDTH = 100

export interface GoldenCase {
  readonly place: string
  readonly at: string
  readonly given: Readonly<Record<string, readonly unknown[]>>
  readonly feature: string
  readonly key: unknown
  readonly inputs: Readonly<Record<string, unknown>>
  /** Undefined: it has none yet. */
  readonly value: unknown
  /** The object that was read. */
  readonly written: Record<string, unknown>
}

export interface GoldenFile {
  readonly path: string
  /** Of definitions, as they are named; none: those of the folder. */
  readonly definitions: readonly string[]
  readonly cases: readonly GoldenCase[]
  /** With the values that cases have now. */
  text(): string
}

/** Those named, all below folders that are named, or all below this one. @throws FabraError bad_usage, io_failed */
export function goldenFiles(given: readonly string[], cwd: string): readonly string[] {
  const paths = (given.length === 0 ? ['.'] : given).flatMap((name) => {
    const path = isAbsolute(name) ? name : join(cwd, name)
    if (!existsSync(path))
      throw new FabraError('io_failed', `There is no file ${name}.`, { hint: 'Golden files end in .golden.json or .golden.jsonl.' })
    if (statSync(path).isDirectory()) return below(path)
    if (GOLDEN.test(path)) return [path]
    throw new FabraError('bad_usage', `${name} is no golden file.`, {
      hint: 'They end in .golden.json or .golden.jsonl, and name the definitions themselves: { "file": "features.ts", "cases": [ … ] }.',
    })
  })
  if (paths.length > 0) return [...new Set(paths)]
  throw new FabraError('bad_usage', 'There are no golden files here.', {
    hint: 'Write features.golden.json: { "file": "features.ts", "cases": [{ "at": "…", "given": { … }, "feature": "…", "key": "…" }] }, then fabra test --update.',
  })
}

function below(folder: string): string[] {
  const found = [...new Glob('**/*.golden.{json,jsonl}').scanSync({ cwd: folder, absolute: true })]
  return found.filter((path) => !/(^|\/)node_modules\//.test(relative(folder, path))).sort()
}

/** @throws FabraError invalid_body, invalid_time, naming the case */
export async function readGolden(path: string, cwd: string): Promise<GoldenFile> {
  const shown = relative(cwd, path)
  const text = await Bun.file(path).text()
  if (path.endsWith('.json')) {
    const whole = record(parsed(text, shown), shown, FILE)
    if (!Array.isArray(whole['cases'])) throw wrong(shown, 'it has no list "cases".', 'Write "cases": [ … ].')
    const cases = whole['cases'].map((one, i) => readCase(one, whole, `${shown} case ${i + 1}`))
    return { path, definitions: definitionsOf(whole, shown), cases, text: () => `${pretty(whole, '')}\n` }
  }
  const lines = text.split('\n').map((line, i) => ({ line, place: `${shown}:${i + 1}` }))
  const values = lines.filter(({ line }) => line.trim() !== '').map(({ line, place }) => ({ value: parsed(line, place), place }))
  const first = values[0] && isRecord(values[0].value) && !Object.hasOwn(values[0].value, 'feature') ? values[0] : undefined
  const head = first ? record(first.value, first.place, FILE) : {}
  const cases = (first ? values.slice(1) : values).map(({ value, place }) => readCase(value, head, place))
  return {
    path,
    definitions: definitionsOf(head, shown),
    cases,
    text: () => `${values.map(({ value }) => stringifyExact(value)).join('\n')}\n`,
  }
}

/** @throws FabraError invalid_body */
export function readCase(value: unknown, whole: Record<string, unknown>, place: string): GoldenCase {
  const written = record(value, place, CASE)
  const { feature } = written
  const at = written['at'] ?? whole['at']
  const given = written['given'] ?? whole['given'] ?? {}
  const inputs = written['inputs'] ?? {}
  if (typeof feature !== 'string') throw wrong(place, 'it names no feature.', 'Write "feature": "transaction_count_1h".')
  if (typeof at !== 'string') throw wrong(place, 'it has no time.', 'Write "at": "2026-01-02T00:00:00Z".')
  if (!Object.hasOwn(written, 'key')) throw wrong(place, 'it has no key.', 'Write "key": "u1", or the key columns by name.')
  if (!isRecord(given)) throw wrong(place, '"given" is no object.', 'Write "given": { "transactions": [ … ] }.')
  if (!isRecord(inputs)) throw wrong(place, '"inputs" is no object.', 'Write "inputs": { "amount": 3 }.')
  const rows = given as GoldenCase['given']
  return { place, at, given: rows, feature, key: written['key'], inputs, value: written['value'], written }
}

function definitionsOf(whole: Record<string, unknown>, place: string): readonly string[] {
  const { file = [] } = whole
  const names: readonly unknown[] = Array.isArray(file) ? file : [file]
  if (names.every((name) => typeof name === 'string')) return names
  throw wrong(place, '"file" is no file name.', 'Write "file": "features.ts".')
}

function parsed(text: string, place: string): unknown {
  try {
    return parseExact(text)
  } catch (error) {
    throw wrong(place, `it is no JSON: ${error instanceof Error ? error.message : String(error)}`, 'Mend the JSON.')
  }
}

function record(value: unknown, place: string, known: readonly string[]): Record<string, unknown> {
  if (!isRecord(value)) throw wrong(place, 'it is no object.', `It has: ${known.join(', ')}.`)
  const unknown = Object.keys(value).find((name) => !known.includes(name))
  if (unknown !== undefined) throw wrong(place, `"${unknown}" is not known.`, suggest(unknown, known))
  return value
}

function wrong(place: string, message: string, hint: string): FabraError {
  return new FabraError('invalid_body', `${place}: ${message}`, { hint })
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** RFC 3339, also without seconds: tests are written by hand. @throws FabraError invalid_time */
export function testTime(text: string): number {
  return parseTime(text.replace(/([Tt ]\d{2}:\d{2})(?=[Zz+-])/, '$1:00'))
}

/** What fits on a line is on one. */
function pretty(value: unknown, indent: string): string {
  const short = stringifyExact(value)
  if (typeof value !== 'object' || value === null || (indent !== '' && indent.length + short.length <= WIDTH)) return spaced(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) return `[\n${value.map((one) => `${inner}${pretty(one, inner)}`).join(',\n')}\n${indent}]`
  const fields = Object.entries(value).map(([name, one]) => `${inner}${JSON.stringify(name)}: ${pretty(one, inner)}`)
  return `{\n${fields.join(',\n')}\n${indent}}`
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (!isRecord(value)) return stringifyExact(value)
  return `{ ${Object.entries(value)
    .map(([name, one]) => `${JSON.stringify(name)}: ${spaced(one)}`)
    .join(', ')} }`
}

/** By what they mean: the order of fields is none of it. */
export function sameValue(a: unknown, b: unknown): boolean {
  return stringifyExact(ordered(a)) === stringifyExact(ordered(b))
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, ordered(value[name])]),
  )
}
