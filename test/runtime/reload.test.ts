import { expect, test } from 'bun:test'
import { answered, bench, errorOf, HEAD } from './project.ts'

const file = (code: string) =>
  `import { value } from './value.ts'\n${HEAD}export const f = feature({ entity: User, refresh: 0, type: 'int' }, ${code})\n`

test('a reload takes new code, also of files that are imported', async () => {
  await using on = await bench({ 'features.ts': file('() => value'), 'value.ts': 'export const value = 1\n' })
  const old = on.feature('f')
  on.project.write({ 'value.ts': 'export const value = 2\n' })
  on.loaded = await on.runtime.load()
  on.loaded.activate()
  expect(on.feature('f').fingerprint).not.toBe(old.fingerprint)
  expect(answered(await on.ask('f', ['u1']))).toBe(2)
})

test('definitions that do not load leave those in use alone', async () => {
  await using on = await bench({ 'features.ts': file('() => value'), 'value.ts': 'export const value = 1\n' })
  on.project.write({ 'value.ts': 'export const value = \n' })
  const broken = await on.runtime.load()
  expect(broken.problems).toHaveLength(1)
  broken.discard()
  expect(answered(await on.ask('f', ['u1']))).toBe(1)
  on.project.write({ 'value.ts': 'export const value = 3\n' })
  on.loaded = await on.runtime.load()
  expect(on.loaded.problems).toEqual([])
  on.loaded.activate()
  expect(answered(await on.ask('f', ['u1']))).toBe(3)
})

test('calls that run during a reload finish with the code they began with', async () => {
  await using on = await bench({
    'features.ts': file('async () => { await new Promise((resolve) => setTimeout(resolve, 100)); return value }'),
    'value.ts': 'export const value = 1\n',
  })
  const running = on.ask('f', ['u1'])
  on.project.write({ 'value.ts': 'export const value = 2\n' })
  on.loaded = await on.runtime.load()
  on.loaded.activate()
  expect(answered(await running)).toBe(1)
  expect(answered(await on.ask('f', ['u1']))).toBe(2)
})

test('code that changed on disk is not run under its old name before a reload', async () => {
  await using on = await bench(
    {
      'features.ts': `${file('() => value')}export const spin = feature({ entity: User, refresh: 0 }, () => { while (true) {} })`,
      'value.ts': 'export const value = 1\n',
    },
    { workers: 1 },
  )
  on.project.write({ 'value.ts': 'export const value = 2\n' })
  // The thread is given up, and the one that replaces it finds the new file.
  await on.ask('spin', ['u1'], { timeoutMs: 200 })
  const error = errorOf(await on.ask('f', ['u1']))
  expect(error.code).toBe('feature_failed')
  expect(error.message).toContain('has changed since it was loaded')
  expect(error.hint).toContain('--watch')
})
