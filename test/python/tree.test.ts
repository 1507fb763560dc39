import { expect, test } from 'bun:test'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Interpreter, interpreters } from '../support/interpreters.ts'
import recorded from './every_syntax.json'

const PACKAGE = join(import.meta.dir, '../../src/python')
const PYTHONS = interpreters()
/** Of the oldest version's own library: hard f-strings, grammar, and ordinary code. */
const LIBRARY = 'csv fractions heapq statistics string test/test_fstring test/test_grammar textwrap'.split(' ')

async function run(python: Interpreter, script: string, ...files: string[]): Promise<string> {
  const process = Bun.spawn([python.path, '-B', join(import.meta.dir, script), PACKAGE, ...files], { stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr, code] = await Promise.all([process.stdout.text(), process.stderr.text(), process.exited])
  if (code !== 0) throw new Error(`${python.path}: ${stderr}`)
  return stdout
}

test('the oldest and the newest Python read types, code and clocks from the files of a project', async () => {
  await Promise.all([...new Set([PYTHONS.at(0), PYTHONS.at(-1)])].map((python) => python && run(python, 'tree_test.py')))
})

test('the text for fingerprints is that of the recorded ones on every Python', async () => {
  for (const python of PYTHONS) {
    expect(JSON.parse(await run(python, 'fingerprints.py', join(import.meta.dir, 'every_syntax.py')))).toEqual(recorded)
  }
})

test('hundreds of functions of the library have one text on all Pythons', async () => {
  const [oldest] = PYTHONS
  if (oldest === undefined) return
  const library = Bun.spawnSync([oldest.path, '-c', 'import os; print(os.path.dirname(os.__file__))']).stdout.toString().trim()
  const folder = mkdtempSync(join(tmpdir(), 'fabra-corpus-'))
  try {
    const files = LIBRARY.map((name) => join(folder, `${name.replace('/', '_')}.py`))
    for (const [index, file] of files.entries()) copyFileSync(join(library, `${LIBRARY[index]}.py`), file)
    const [first = '', ...others] = await Promise.all(PYTHONS.map((python) => run(python, 'fingerprints.py', ...files)))
    expect(Object.keys(JSON.parse(first)).length).toBeGreaterThan(300)
    for (const other of others) expect(JSON.parse(other)).toEqual(JSON.parse(first))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
