import { heapStats } from 'bun:jsc'
import { expect, test } from 'bun:test'
import { createPostgresParser } from '../../src/store/postgres/sources/parser.ts'
import { until } from '../support/until.ts'

/** What is in use: each has 128 MiB reserved. */
function grammars(): number {
  Bun.gc(true)
  return heapStats().objectTypeCounts['WebAssembly.Memory'] ?? 0
}

test('the grammar is let go when nothing is read for a while, and is there again for the next text', async () => {
  const parser = createPostgresParser({ keptForMs: 50 })
  const tree = JSON.stringify(await parser.parse('SELECT 1'))
  const inUse = grammars()
  await until('the grammar to be let go', 10_000, async () => (grammars() < inUse ? true : undefined))
  const left = grammars()
  // What was read before needs no grammar, and is nobody else's tree.
  expect(JSON.stringify(await parser.parse('SELECT 1'))).toBe(tree)
  expect(await parser.parse('SELECT 1')).not.toBe(await parser.parse('SELECT 1'))
  expect(grammars()).toBeLessThanOrEqual(left)
  expect(JSON.stringify(await parser.parse('SELECT 2'))).toBe(tree.replace('"ival":1', '"ival":2'))
})
