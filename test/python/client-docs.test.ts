/** The examples of requests in README and docs, in Python and in TypeScript, over the definitions of the product's contract: each is compiled and run. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clientScript } from '../../scripts/release-parts/npm.ts'
import { type RunningFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { blocks, type Page, page, pages } from '../support/documentation.ts'
import { PYTHON_SOURCES, pythonTool, runTool } from '../support/python.ts'

const PROJECT = join(import.meta.dir, '../..')
const LIMIT_MS = 300_000
const ADDRESS = /http:\/\/(?:127\.0\.0\.1|localhost):8000/g
const isRequest = (text: string) => /^\$ curl .*127\.0\.0\.1:8000/m.test(text)

/** Pages that show requests; the clients' own pages are run besides. */
const asked: readonly Page[] = pages.filter((of) => blocks(of).some(({ text }) => isRequest(text)))

let cwd: string
let fabra: RunningFabra
beforeAll(async () => {
  cwd = temporaryFolder()
  cpSync(join(PROJECT, 'test/fixtures/contract'), cwd, { recursive: true })
  copyFileSync(join(cwd, 'features.ts.txt'), join(cwd, 'features.ts'))
  const more = `export const avg_amount_30d = feature({ entity: User, refresh: "1h", type: "float",
    sql: "SELECT AVG(amount) FROM transactions WHERE user_id = $user_id" });\n`
  writeFileSync(join(cwd, 'features.ts'), more, { flag: 'a' })
  // A file that holds a program which asks a server is a features file all the same.
  writeFileSync(join(cwd, 'asks.py'), ASKS)
  writeFileSync(join(cwd, 'labels.csv'), 'user_id,event_timestamp,label\nu1,2026-01-02T03:04:05Z,1\n')
  fabra = await startFabra({ file: 'features.ts', cwd, args: ['asks.py'], env: { FABRA_PYTHON: pythonTool('python') } })
}, LIMIT_MS)
afterAll(async () => {
  await fabra?.stop()
  rmSync(cwd, { recursive: true, force: true })
})

const ASKS = `
from fabra import Client, entity, feature
OTHER = Client("http://127.0.0.1:1")
@feature(entity=entity("User", key="user_id"), refresh=0)
def asks(user_id: str) -> str:
    return repr(OTHER)
`

/** The blocks of a page that are in this language and ask a server. */
function examples(of: Page, language: string): string {
  const own = blocks(of).filter(({ kind, text }) => kind === language && !/@feature|\bfeature\(entity/.test(text))
  return own.map(({ text }) => text.replaceAll(ADDRESS, fabra.url)).join('\n')
}

test('every request that is shown is shown in Python and in TypeScript, too', () => {
  expect(asked.length).toBeGreaterThan(4)
  for (const of of asked) {
    const all = blocks(of)
    for (const [i, { text }] of all.entries())
      if (isRequest(text)) expect([of.path, text, all[i + 1]?.kind, all[i + 2]?.kind]).toEqual([of.path, text, 'python', 'typescript'])
  }
})

/** What the client's page takes for given. */
const GIVEN = `
from datetime import datetime, timezone
import pandas
now = datetime.now(timezone.utc)
labels = pandas.DataFrame({"user_id": ["u1"], "event_timestamp": [now]})
labels.assign(label=1).to_parquet("labels.parquet")
scores = [{"user_id": "u1", "value": 0.3}]
events = [{"user_id": "u1", "amount": 9.5, "created_at": now}]
`

test(
  'what is shown in Python runs as it stands',
  async () => {
    const own = page('docs/python-client.md')
    const parts = [...asked, own].map((of) => [of.path, examples(of, 'python')] as const)
    for (const [path, code] of parts) expect([path, code]).toEqual([path, expect.stringContaining('import Client')])
    const program = `${GIVEN}\nfor path, code in ${JSON.stringify(parts)}:\n    found = dict(globals())\n    exec(compile(code, path, "exec"), found)\nfabra, train, rows = found["fabra"], found["train"], found["rows"]\nprint(len(train.to_pandas()), rows.statuses[0]["spend.total_30d"], train.report["rows"], fabra.feature("asks", "u1").value)\n`
    const env = { PYTHONPATH: PYTHON_SOURCES, PYTHONDONTWRITEBYTECODE: '1', FABRA_URL: fabra.url }
    const printed = await runTool([pythonTool('python'), '-c', program], { cwd, env })
    expect(printed).toStartWith('0\n')
    expect(printed).toContain('unknown_feature 404 Did you mean "transaction_count_1h"?\n')
    expect(printed).toEndWith("\n1 fresh 1 Client('http://127.0.0.1:1')\n")
  },
  LIMIT_MS,
)

test(
  'what is shown in TypeScript compiles and runs as it stands',
  async () => {
    const installed = join(cwd, 'node_modules/fabra')
    mkdirSync(installed, { recursive: true })
    for (const [from, to] of [
      ['fabra', 'index'],
      ['fabra-client', 'client'],
      ['fabra-test', 'test'],
    ] as const)
      copyFileSync(join(PROJECT, `src/${from}.d.ts`), join(installed, `${to}.d.ts`))
    writeFileSync(join(installed, 'client.js'), await clientScript())
    const types = (name: string) => ({ types: `./${name}.d.ts`, default: `./${name}.js` })
    const exported = { '.': types('index'), './client': types('client'), './test': types('test') }
    writeFileSync(join(installed, 'package.json'), JSON.stringify({ name: 'fabra', version: '1.0.0', type: 'module', exports: exported }))
    const own = page('docs/typescript-client.md')
    const names = [...asked, own].map((of) => {
      const code = examples(of, 'typescript')
      expect([of.path, code.length > 0]).toEqual([of.path, true])
      const name = `${of.path.replaceAll('/', '-')}.ts`
      writeFileSync(join(cwd, name), `declare const process: { env: Record<string, string | undefined> }\n${code}\nexport {}\n`)
      return name
    })
    writeFileSync(join(cwd, 'testing.md.ts'), examples(page('docs/testing.md'), 'typescript'))
    writeFileSync(
      join(cwd, 'node.md.ts'),
      "declare module 'node:test' { export function test(name: string, body: () => Promise<void>): void }\n",
    )
    const options = {
      target: 'ESNext',
      lib: ['ESNext', 'DOM'],
      types: [],
      module: 'Preserve',
      moduleResolution: 'bundler',
      noEmit: true,
      strict: true,
    }
    writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.md.ts'] }))
    expect(await runTool([process.execPath, join(PROJECT, 'node_modules/typescript/bin/tsc'), '-p', cwd])).toBe('0\n')
    writeFileSync(join(cwd, 'all.ts'), names.map((name) => `await import(${JSON.stringify(`./${name}`)})\n`).join(''))
    const printed = await runTool([process.execPath, join(cwd, 'all.ts')], { cwd })
    expect(printed).toStartWith('0\n')
    expect(printed).toContain('unknown_feature 404 Did you mean "transaction_count_1h"?\n')
  },
  LIMIT_MS,
)

test('the package gives all that the client has, and loads it when it is asked for', async () => {
  const code = `
import sys, fabra
loaded = [name for name in sys.modules if name.startswith(("httpx", "fabra.client"))]
from fabra import Client, UnknownFeature
from fabra import client
print(loaded, sorted(fabra._CLIENT ^ set(client.__all__)), hasattr(fabra, "nope"))
`
  expect(await runTool([pythonTool('python'), '-c', code], { env: { PYTHONPATH: PYTHON_SOURCES } })).toBe("0\n[] ['FabraError'] False\n")
})
