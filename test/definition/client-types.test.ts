/** The types of "fabra/client" over definitions: what is right compiles, and a wrong name, key, input or value does not. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SOURCES = join(import.meta.dir, '../../src')
const FEATURES = `import { entity, feature, featureSet, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const Pair = entity('Pair', { key: { user_id: 'int', merchant_id: 'string' } })
export const events = source('events', { columns: { user_id: 'VARCHAR' } })
export const count = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT 1' })
export const tags = feature({ entity: User, type: 'list[string]' })
export const spend = feature({ entity: User, refresh: '5m', columns: { total: 'float', best: 'string' }, sql: 'SELECT 1' })
export const risk = feature({ entity: User, refresh: 0, type: 'float', inputs: { amount: 'float' } }, (_, { inputs }) => inputs.amount)
export const score = feature({ entity: Pair, type: 'float' })
export const anything = feature({ entity: User, refresh: 0 }, () => ({ a: 1 }))
export const all = featureSet('all', [count, spend])
`
const HEAD = `import { createClient, FabraError } from 'fabra/client'
const fabra = createClient<typeof import('./features')>({ url: 'http://localhost:8000', apiKey: 'x' })
void FabraError
`
const RIGHT = [
  "const { value } = await fabra.feature('count', 'u1'); const n: number | null = value; void n",
  "const { value } = await fabra.feature('tags', 'u1'); const t: (string | null)[] | null = value; void t",
  "const { value } = await fabra.feature('spend.best', 'u1'); const s: string | null = value; void s",
  "const { value } = await fabra.feature('spend', 'u1', { maxAge: '30s' }); const s: number | null | undefined = value?.total; void s",
  "await fabra.feature('risk', 'u1', { inputs: { amount: 3 } })",
  "await fabra.feature('score', { user_id: 1, merchant_id: 'm' })",
  "const [row] = await fabra.features(['count', 'spend'], ['u1', { entity_id: 'u2' }]); const n: number | null | undefined = row?.values['spend.total']; void n",
  "await fabra.features(['count', 'risk'], [{ entity_id: 'u1', amount: 3 }])",
  "const [row] = await fabra.features('all', ['u1']); const n: number | null | undefined = row?.values.count; void n",
  "const r = await fabra.push('score', [{ user_id: 1, merchant_id: 'm', value: 0.5 }, { user_id: 2, merchant_id: 'm', delete: true }]); const a: number = r.accepted; void a",
  "await fabra.append('events', [{ user_id: 'u1' }], { idempotencyKey: 'k' })",
  "await fabra.forget('Pair', { user_id: 1n, merchant_id: 'm' })",
  'export const fine = 1',
]
const WRONG: readonly [code: string, message: string][] = [
  ["await fabra.feature('cuont', 'u1')", `'"cuont"' is not assignable`],
  ["await fabra.feature('spend.totl', 'u1')", `'"spend.totl"' is not assignable`],
  ["await fabra.features(['count', 'nope'], ['u1'])", `'"nope"' is not assignable`],
  ["await fabra.feature('User', 'u1')", `'"User"' is not assignable`],
  ["await fabra.feature('count', 7)", "'number' is not assignable"],
  ["await fabra.feature('score', 'u1')", "'string' is not assignable"],
  ["await fabra.feature('score', { user_id: 1 })", "'merchant_id' is missing"],
  ["await fabra.feature('risk', 'u1')", 'Expected 3 arguments'],
  ["await fabra.feature('risk', 'u1', { inputs: { amount: 'x' } })", "'string' is not assignable to type 'number'"],
  ["await fabra.features(['risk'], ['u1'])", 'is not assignable'],
  ["const { value } = await fabra.feature('count', 'u1'); const s: string | null = value; void s", "'number | null'"],
  ["const [row] = await fabra.features(['count'], ['u1']); void row?.values.spend", "'spend' does not exist"],
  ["await fabra.push('score', [{ user_id: 1, merchant_id: 'm', value: 'x' }])", 'is not assignable'],
  ["await fabra.forget('Usr', 'u1')", `'"Usr"' is not assignable`],
]

let folder = ''
const said = new Map<string, string>()
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fabra-client-types-'))
  const installed = join(folder, 'node_modules/fabra')
  mkdirSync(installed, { recursive: true })
  copyFileSync(join(SOURCES, 'fabra.d.ts'), join(installed, 'index.d.ts'))
  copyFileSync(join(SOURCES, 'fabra-client.d.ts'), join(installed, 'client.d.ts'))
  const exported = { '.': { types: './index.d.ts' }, './client': { types: './client.d.ts' } }
  writeFileSync(join(installed, 'package.json'), JSON.stringify({ name: 'fabra', version: '1.0.0', exports: exported }))
  writeFileSync(join(folder, 'features.ts'), FEATURES)
  const options = {
    target: 'ESNext',
    lib: ['ESNext', 'DOM'],
    types: [],
    module: 'Preserve',
    moduleResolution: 'bundler',
    noEmit: true,
    strict: true,
  }
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, skipLibCheck: false, exactOptionalPropertyTypes: true } }),
  )
  for (const [i, code] of [...RIGHT, ...WRONG.map(([code]) => code)].entries()) writeFileSync(join(folder, `use-${i}.ts`), HEAD + code)
  const tsc = Bun.spawnSync([process.execPath, join(SOURCES, '../node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false'], {
    cwd: folder,
  })
  let file = ''
  for (const line of tsc.stdout.toString().split('\n')) {
    file = /^(\S+\.ts)\(\d+,\d+\): error/.exec(line)?.[1] ?? (line.startsWith(' ') ? file : '')
    if (file !== '') said.set(file, `${said.get(file) ?? ''}${line}\n`)
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('what fits the definitions compiles, with the types of their values', () => {
  expect(RIGHT.flatMap((code, i) => (said.has(`use-${i}.ts`) ? [`${code}\n${said.get(`use-${i}.ts`)}`] : []))).toEqual([])
  expect([...said.keys()].filter((file) => !file.startsWith('use-'))).toEqual([])
})

test.each(WRONG.map(([code, message], i) => [code, message, RIGHT.length + i] as const))('%s does not compile', (_, message, i) => {
  expect(said.get(`use-${i}.ts`)).toContain(message)
})
