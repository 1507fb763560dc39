/** The mistakes that scripts/mutations.ts plants: each must find what it is to change, or it tries nothing. */
import { expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Mutation } from '../scripts/mutations/mutation.ts'

const PROJECT = join(import.meta.dir, '..')
const LISTS = join(PROJECT, 'scripts/mutations')

test('every planted mistake finds its text and its suite', async () => {
  const mutations: Mutation[] = []
  for (const file of readdirSync(LISTS)) {
    const list: { readonly mutations?: readonly Mutation[] } = await import(join(LISTS, file))
    mutations.push(...(list.mutations ?? []))
  }
  const texts = new Map<string, string>()
  const textOf = (file: string) => {
    const path = join(PROJECT, file)
    const text = texts.get(file) ?? (existsSync(path) ? readFileSync(path, 'utf8') : '')
    texts.set(file, text)
    return text
  }
  const stale = mutations.filter(
    ({ suite, changes }) =>
      !changes.every(({ file, from }) => textOf(file).includes(from)) || (suite !== undefined && textOf(suite) === ''),
  )
  expect(stale.map(({ name }) => name)).toEqual([])
  expect(mutations.length).toBeGreaterThan(100)
})
