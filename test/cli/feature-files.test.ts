import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultFiles, featureFiles } from '../../src/cli/feature-files.ts'

const cwd = mkdtempSync(join(tmpdir(), 'fabra-feature-files-'))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

test('a file that is named twice, also by a link to it, is one, under the first of its names', () => {
  writeFileSync(join(cwd, 'features.py'), '')
  symlinkSync('features.py', join(cwd, 'link.py'))
  symlinkSync('features.py', join(cwd, 'features.ts'))
  expect(featureFiles(['link.py', './features.py', 'link.py'], cwd)).toEqual([join(cwd, 'link.py')])
  expect(defaultFiles(cwd)).toEqual([join(cwd, 'features.ts')])
})
