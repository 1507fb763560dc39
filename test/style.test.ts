import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './support/binary.ts'
import { wordsNotToSay } from './support/words.ts'

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

test('nothing is called by a word that means several things', async () => {
  expect(await wordsNotToSay(PROJECT)).toEqual([])
})

test('the check of words finds what is declared, and not what is said or used', async () => {
  const root = temporaryFolder()
  try {
    mkdirSync(join(root, 'src'))
    const code = [
      '// told: a Place is told, and what is owed.',
      "export const text = 'told'",
      'export const { told: reported, b: owed } = JSON.parse(text).told',
      'interface Place { readonly lane?: number; touch(leftOut: string): void }',
      'export const f = (told: Place) => ({ gather: told.touch, [text]: reported ?? owed })',
      'export class Asked { #told = 1; static learn() { return new Asked().#told } }',
    ]
    writeFileSync(join(root, 'src/a.ts'), code.join('\n'))
    writeFileSync(join(root, 'src/b.tsx'), 'export function Lane() {\n  return <p title="told">told</p>\n}\n')
    writeFileSync(
      join(root, 'src/c.py'),
      '"""told"""\n\n\ndef told(owed: int, *, known: int = 1) -> int:\n    for self.leftOut in ():\n        pass\n    return owed.told\n',
    )
    Bun.spawnSync(['git', 'init', '-q'], { cwd: root })
    Bun.spawnSync(['git', 'add', '.'], { cwd: root })
    const found = (await wordsNotToSay(root)).map((line) => line.replace(/;.*/, '').replace(' calls something', ''))
    expect(found.sort()).toEqual([
      'src/a.ts:3 owed',
      'src/a.ts:4 Place',
      'src/a.ts:4 lane',
      'src/a.ts:4 leftOut',
      'src/a.ts:4 touch',
      'src/a.ts:5 gather',
      'src/a.ts:5 told',
      'src/a.ts:6 Asked',
      'src/a.ts:6 learn',
      'src/a.ts:6 told',
      'src/b.tsx:1 Lane',
      'src/c.py:4 owed',
      'src/c.py:4 told',
      'src/c.py:5 leftOut',
    ])
  } finally {
    rmSync(root, { recursive: true })
  }
})
