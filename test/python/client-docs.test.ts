/** The examples of the pages about the clients, over the definitions of the product's contract: Python's is run, TypeScript's compiled. */
import { expect, test } from 'bun:test'
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startFabra, temporaryFolder } from '../support/binary.ts'
import { PYTHON_SOURCES, pythonTool, runTool } from '../support/python.ts'

const PROJECT = join(import.meta.dir, '../..')
const LIMIT_MS = 300_000

/** The blocks of a page that are in this language. */
function examples(page: string, language: string): string {
  const text = readFileSync(join(PROJECT, 'docs', page), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, code]) => code).join('\n')
}

function contractFolder(): string {
  const folder = temporaryFolder()
  cpSync(join(PROJECT, 'test/fixtures/contract'), folder, { recursive: true })
  copyFileSync(join(folder, 'features.ts.txt'), join(folder, 'features.ts'))
  return folder
}

/** What the page takes for given. */
const GIVEN = `
from datetime import datetime, timezone
import pandas
now = datetime.now(timezone.utc)
labels = pandas.DataFrame({"user_id": ["u1"], "event_timestamp": [now]})
scores = [{"user_id": "u1", "value": 0.3}]
events = [{"user_id": "u1", "amount": 9.5, "created_at": now}]
`

test(
  'the Python example runs as it stands',
  async () => {
    const cwd = contractFolder()
    const fabra = await startFabra({ file: 'features.ts', cwd })
    try {
      const code = `${GIVEN}\n${examples('http-api.md', 'python').replace('http://127.0.0.1:8000', fabra.url)}\n${examples('python-client.md', 'python')}\nprint(len(train.to_pandas()), rows.statuses[0]["spend.total_30d"], train.report["rows"])\n`
      expect(code).toContain('fabra.catalogue()')
      const env = { PYTHONPATH: PYTHON_SOURCES, PYTHONDONTWRITEBYTECODE: '1', FABRA_URL: fabra.url }
      expect(await runTool([pythonTool('python'), '-c', code], { cwd, env })).toBe('0\n1 fresh 1\n')
    } finally {
      await fabra.stop()
      rmSync(cwd, { recursive: true, force: true })
    }
  },
  LIMIT_MS,
)

test(
  'the TypeScript example compiles as it stands',
  async () => {
    const cwd = contractFolder()
    const installed = join(cwd, 'node_modules/fabra')
    mkdirSync(installed, { recursive: true })
    copyFileSync(join(PROJECT, 'src/fabra.d.ts'), join(installed, 'index.d.ts'))
    copyFileSync(join(PROJECT, 'src/fabra-client.d.ts'), join(installed, 'client.d.ts'))
    copyFileSync(join(PROJECT, 'src/fabra-test.d.ts'), join(installed, 'test.d.ts'))
    const exported = { '.': { types: './index.d.ts' }, './client': { types: './client.d.ts' }, './test': { types: './test.d.ts' } }
    writeFileSync(join(installed, 'package.json'), JSON.stringify({ name: 'fabra', version: '1.0.0', exports: exported }))
    for (const page of ['typescript-client.md', 'http-api.md']) {
      const code = examples(page, 'typescript')
      expect(code).toContain('createClient<typeof import')
      writeFileSync(join(cwd, `${page}.ts`), `declare const process: { env: Record<string, string | undefined> }\n${code}`)
    }
    writeFileSync(join(cwd, 'testing.md.ts'), examples('testing.md', 'typescript'))
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
    rmSync(cwd, { recursive: true, force: true })
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
