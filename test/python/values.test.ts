import { expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { someInterpreters } from './guest.ts'

setDefaultTimeout(120_000)

test.each(someInterpreters())('values become JSON texts, or are refused, in %s', (python) => {
  const ran = Bun.spawnSync([python, '-B', join(import.meta.dir, 'values_test.py')], { stdout: 'pipe', stderr: 'pipe' })
  expect([ran.exitCode, ran.exitCode === 0 ? '' : ran.stderr.toString()]).toEqual([0, ''])
})
