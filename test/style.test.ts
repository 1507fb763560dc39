import { expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'

setDefaultTimeout(180_000)

const PROJECT = join(import.meta.dir, '..')

/** The tool's own report is what a failing test shows. */
function expectClean(command: string[]): void {
  const result = Bun.spawnSync([process.execPath, ...command], { cwd: PROJECT, env: { ...process.env, NO_COLOR: '1' } })
  if (result.exitCode !== 0) console.error(`${result.stdout}${result.stderr}`)
  expect(result.exitCode).toBe(0)
}

test('the code has no type errors', () => {
  expectClean(['check', '-p', '.'])
})

test('the page has no type errors', () => {
  expectClean(['check', '-p', 'src/ui'])
})

test('the code is formatted and free of what the linter refuses', () => {
  const biome = join(PROJECT, 'node_modules/@biomejs/biome/bin/biome')
  expectClean([biome, 'check', '--error-on-warnings', '--diagnostic-level=warn', '--max-diagnostics=100', '--colors=off'])
})
