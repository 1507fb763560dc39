/** The tables of faults and risks in the docs name tests: each must be there. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const rowsOf = (markdown: string) =>
  markdown
    .split('\n')
    .filter((line) => /^\| (\d+|API\d+)\b/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))

/** `test/a.test.ts` "what is tested". */
const NAMED = /`(test\/[\w/.-]+\.ts)` "([^"]+)"/g

/** Where a test of that name begins, by whatever it is declared. */
function isThere(file: string, name: string): boolean {
  if (!existsSync(join(ROOT, file))) return false
  const quoted = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(?:test|describe|\\))\\(\\s*['"\`](?:%[spj]: )?${quoted}`).test(text(file))
}

function missing(rows: readonly (readonly string[])[]): string[] {
  return rows.flatMap(([, id = '', ...cells]) => {
    const named = [...cells.join(' ').matchAll(NAMED)]
    if (named.length === 0) return [`${id}: no test is named`]
    return named.flatMap(([, file = '', name = '']) => (isThere(file, name) ? [] : [`${id}: ${file} has no "${name}"`]))
  })
}

test('each of sixty faults names tests that are there', () => {
  const rows = rowsOf(text('docs/failure-modes.md'))
  expect(rows.map(([, id]) => Number(id))).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
  expect(missing(rows)).toEqual([])
})

test('each of the ten risks of APIs names tests that are there', () => {
  const rows = rowsOf(text('docs/SECURITY.md'))
  expect(rows.map(([, id]) => id?.split(' ')[0])).toEqual(Array.from({ length: 10 }, (_, i) => `API${i + 1}`))
  expect(missing(rows)).toEqual([])
})

test('a name that is in no test is found out', () => {
  expect(isThere('test/failure-modes.test.ts', 'each of sixty faults')).toBe(true)
  for (const name of ['nothing of the kind', 'nothing of the kind"'])
    expect(isThere('test/failure-modes.test.ts', `${name} is tested`)).toBe(false)
  expect(isThere('test/nowhere.test.ts', 'each')).toBe(false)
})
