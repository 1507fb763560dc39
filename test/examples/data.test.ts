import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { typeCheck } from '../../src/cli/type-check.ts'
import { EXAMPLES, START_LIMIT_MS } from './oracle.ts'

test(
  'the committed sample data is what its generator writes, and small',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'fabra-data-'))
    const made = Bun.spawnSync([process.execPath, join(EXAMPLES, 'data/make.ts'), folder])
    expect(made.exitCode).toBe(0)
    const names = readdirSync(folder).sort()
    expect(names).toEqual(['page_views.parquet', 'purchases.jsonl', 'transactions.csv'])
    for (const name of names) {
      const committed = join(EXAMPLES, 'data', name)
      expect({ name, same: readFileSync(committed).equals(readFileSync(join(folder, name))) }).toEqual({ name, same: true })
      expect(statSync(committed).size).toBeLessThan(3_000_000)
    }
    rmSync(folder, { recursive: true })
  },
  START_LIMIT_MS,
)

test('every example passes the type check', async () => {
  const files = [...new Bun.Glob('*.ts').scanSync(EXAMPLES)].map((name) => join(EXAMPLES, name))
  expect(files.length).toBeGreaterThanOrEqual(5)
  expect(await typeCheck([...files, join(EXAMPLES, 'data/make.ts')])).toEqual([])
})
