/** Helpers of test runners in both languages, over `fabra test` itself. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { testScript } from '../../scripts/release-parts/npm.ts'
import { builtBinary } from '../support/binary.ts'
import { PYTHON_SOURCES, pythonTool, runTool } from '../support/python.ts'

const PROJECT = resolve(import.meta.dir, '../..')
const LIMIT_MS = 240_000
const FEATURES = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: { user_id: "int", shop: "string" } })
export const payments = source("payments", { timestamp: "paid_at" })
export const spent = feature({ entity: User, refresh: "5m", columns: { total: "int", ids: "json" },
  sql: "SELECT SUM(amount) AS total, list(id ORDER BY id) AS ids FROM payments WHERE user_id = $user_id AND shop = $shop" })
export const ratio = feature({ entity: User, refresh: 0, type: "float", inputs: { amount: "float" } },
  async (id, { get, inputs }) => inputs.amount / (await get("spent.total")))
`
const IN_TYPESCRIPT = `import { afterAll, test } from "bun:test"
import { testStore } from "fabra/test"
const store = await testStore("features.ts")
afterAll(() => store.close())
const rows = [{ id: 9007199254740993n, user_id: 7, shop: "a", amount: 2, paid_at: "2026-01-02T00:30:00Z" }]
const then = store.at("2026-01-02T01:00Z").given({ payments: rows })
test("passes", async () => {
  await then.expect("spent", [7, "a"]).toBe({ ids: [9007199254740993n], total: 2 })
  await then.expect("ratio", { user_id: 7, shop: "a" }, { amount: 3 }).toBe(1.5)
  await store.at(new Date("2026-01-02T00:10:00Z")).given({ payments: rows }).expect("spent.total", [7, "a"]).toBe(null)
})
test("fails", () => then.expect("spent.total", [7, "a"]).toBe(3))
test("asks for what is not there", () => then.value("spend", [7, "a"]))
`
const IN_PYTHON = `from datetime import datetime, timezone
import pytest
from fabra.testing import FabraError
ROWS = [{"id": 9007199254740993, "user_id": 7, "shop": "a", "amount": 2, "paid_at": datetime(2026, 1, 2, 0, 30, tzinfo=timezone.utc)}]

def test_passes(fabra_store):
    then = fabra_store.at("2026-01-02T01:00Z").given({"payments": ROWS})
    then.expect("spent", (7, "a")).to_be({"ids": [9007199254740993], "total": 2})
    assert then.value("ratio", {"user_id": 7, "shop": "a"}, inputs={"amount": 3}) == 1.5
    assert fabra_store.at(datetime(2026, 1, 2, tzinfo=timezone.utc)).given(payments=ROWS).value("spent.total", [7, "a"]) is None
    with pytest.raises(FabraError, match='Did you mean "payments"') as told:
        fabra_store.at("2026-01-02T01:00Z").given(payment=ROWS).value("spent", [7, "a"])
    assert told.value.code == "unknown_source"

def test_fails(fabra_store):
    fabra_store.at("2026-01-02T01:00Z").given(payments=ROWS).expect("spent.total", [7, "a"]).to_be(3)
`
let cwd = ''
let env: Record<string, string>

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'fabra-test-helpers-'))
  mkdirSync(join(cwd, 'bin'))
  symlinkSync(builtBinary(), join(cwd, 'bin/fabra'))
  env = { PATH: `${join(cwd, 'bin')}:${process.env['PATH']}`, NO_COLOR: '1' }
  await Bun.write(join(cwd, 'features.ts'), FEATURES)
})
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

test(
  'fabra/test, under bun:test',
  async () => {
    const installed = join(cwd, 'node_modules/fabra')
    mkdirSync(installed, { recursive: true })
    await Bun.write(join(installed, 'test.mjs'), await testScript())
    await Bun.write(join(installed, 'package.json'), '{ "name": "fabra", "exports": { "./test": "./test.mjs" } }')
    await Bun.write(join(cwd, 'some.test.ts'), IN_TYPESCRIPT)
    const output = await runTool([process.execPath, 'test', '--timeout=120000', 'some.test.ts'], { cwd, env })
    expect(output).toContain('(pass) passes')
    expect(output).toContain('spent.total of [7,"a"] at 2026-01-02T01:00Z\n  expected 3\n  came     2')
    expect(output).toContain('No feature "spend". Did you mean "spent"?')
    expect(output).toContain(' 1 pass\n 2 fail\n')
  },
  LIMIT_MS,
)

test(
  'fabra.testing, under pytest',
  async () => {
    await Bun.write(join(cwd, 'tests/test_features.py'), IN_PYTHON)
    const [, shown = ''] = /^```python\n([\s\S]*?)^```/m.exec(await Bun.file(join(PROJECT, 'docs/testing.md')).text()) ?? []
    await Bun.write(join(cwd, 'shown/test_shown.py'), shown)
    await Bun.write(join(cwd, 'shown/features.ts'), Bun.file(join(PROJECT, 'examples/basic_features.ts')))
    await Bun.write(join(cwd, 'shown/data/transactions.csv'), Bun.file(join(PROJECT, 'examples/data/transactions.csv')))
    const plugins = ['-p', 'fabra.testing.pytest_plugin', '-p', 'no:cacheprovider']
    const words = [pythonTool('python'), '-m', 'pytest', '-q', ...plugins, 'tests', 'shown']
    const output = await runTool(words, { cwd, env: { ...env, PYTHONPATH: PYTHON_SOURCES } })
    expect(output).toContain('1 failed, 2 passed')
    expect(output).toContain("AssertionError: spent.total of [7, 'a'] at 2026-01-02T01:00Z\nE         expected 3\nE         came     2\n")
  },
  LIMIT_MS,
)
