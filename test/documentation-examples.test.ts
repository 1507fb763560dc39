/** What README and docs show is what comes: requests are sent to a project as `fabra init` makes it, commands are run. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../src/cli/run.ts'
import { welcome } from '../src/cli/serve/welcome.ts'
import templateFeatures from '../src/cli/templates/features.ts.txt' with { type: 'text' }
import { sampleTransactions } from '../src/cli/templates/sample-data.ts'
import { systemClock } from '../src/clock.ts'
import { temporaryFolder } from './support/binary.ts'
import { blocks, page, pages, shownCommands, words } from './support/documentation.ts'
import { projectFolder } from './support/project-folder.ts'
import { PYTHON_CACHE } from './support/python.ts'
import { type RealApp, realApp } from './support/real-app.ts'

/** In the order in which a reader would give them: README's, then those of each page. */
describe('the requests that are shown are answered as shown:', () => {
  const shown = pages.flatMap(shownCommands).filter(({ line }) => /^curl .*127\.0\.0\.1:8000/s.test(line))
  let app: RealApp

  beforeAll(async () => {
    const spend = `export const spend = feature({ entity: User, refresh: "5m", columns: { total_30d: "float", avg_30d: "float" },
      sql: "SELECT COALESCE(SUM(amount), 0) AS total_30d, AVG(amount) AS avg_30d FROM transactions WHERE user_id = $user_id" });\n`
    const now = systemClock().now()
    app = await realApp({ 'features.ts': templateFeatures + spend, 'data/transactions.csv': sampleTransactions(now) })
    const label = { user_id: 'u1', event_timestamp: new Date(now / 1000).toISOString(), label: 1 }
    const labels = await app.app.fetch(
      new Request('http://127.0.0.1:8000/v1/training-sets', {
        method: 'POST',
        body: JSON.stringify({ features: ['last_merchant'], rows: [label] }),
        headers: { 'content-type': 'application/json' },
      }),
    )
    expect(labels.status).toBe(200)
    await Bun.write(join(app.folder.path, 'labels.parquet'), await labels.arrayBuffer())
  })
  afterAll(() => app[Symbol.asyncDispose]())

  test('there are some', () => expect(shown.length).toBeGreaterThan(8))

  for (const { page: path, line, output } of shown) {
    test(`${path}: ${line.slice(0, 110).replaceAll('\n', ' ')}`, async () => {
      const response = await app.app.fetch(curlRequest(line, app.folder.path))
      if (/ -o \S/.test(line)) {
        expect(response.status).toBe(200)
        expect((await response.bytes()).subarray(0, 4)).toEqual(new TextEncoder().encode('PAR1'))
        return
      }
      if (/ -N /.test(line)) {
        expect([response.status, response.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/event-stream')])
        await response.body?.cancel()
        return
      }
      const answer = await response.json()
      if (output === '') expect(response.status).toBe(200)
      else expect(shapeOf(answer)).toEqual(shapeOf(JSON.parse(output)))
    })
  }
})

/** What a shell and curl would make of it. */
function curlRequest(line: string, folder: string): Request {
  const [, ...given] = words(line)
  const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded' })
  const init: { method?: string; body?: string | Buffer } = {}
  let url = ''
  for (let at = 0; at < given.length; at++) {
    const word = given[at] ?? ''
    if (word === '-X') init.method = given[++at] ?? ''
    else if (word === '-d') init.body = given[++at] ?? ''
    else if (word === '--data-binary') init.body = readFileSync(join(folder, (given[++at] ?? '').replace('@', '')))
    else if (word === '-o') at++
    else if (word === '-N') continue
    else if (word === '-H') {
      const [name = '', value = ''] = (given[++at] ?? '').split(/: */)
      headers.set(name, value)
    } else if (word.startsWith('http')) url = word
    else throw new Error(`curl ${word} is not known here.`)
  }
  return new Request(url, { ...init, method: init.method ?? (init.body === undefined ? 'GET' : 'POST'), headers })
}

/** Names of fields and types of values; texts of codes and statuses stay. */
function shapeOf(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => shapeOf(one, name))
  if (value === null || typeof value !== 'object') return name === 'code' || name === 'message' || name === 'hint' ? value : typeof value
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, shapeOf(inner, field)]))
}

describe('the commands that are shown say what is shown:', () => {
  test('fabra init', async () => {
    const cwd = temporaryFolder()
    const said = await fabra(['init', 'shop'], cwd)
    rmSync(cwd, { recursive: true })
    expect(said.replace(` in ${cwd}/`, ' in ')).toStartWith(outputOf('README.md', 'fabra init'))
  })

  test('fabra serve', async () => {
    await using app = await realApp({ 'features.ts': templateFeatures, 'data/transactions.csv': sampleTransactions(systemClock().now()) })
    const server = { url: 'http://127.0.0.1:8000', host: '127.0.0.1', port: 8000, metricsUrl: null, stop: async () => undefined }
    const context = {
      stdout: print,
      stderr: print,
      json: false,
      color: false,
      cwd: app.folder.path,
      clock: systemClock(),
      setExitCode: () => undefined,
    }
    const said = await welcome(app.app, server, { files: [join(app.folder.path, 'features.ts')], clockOffset: null }, context)
    expect(said.trim()).toBe(outputOf('README.md', 'fabra serve'))
  })

  test('fabra check', async () => {
    const definitions = [
      'import { entity, feature, source } from "fabra";',
      'export const User = entity("User", { key: "user_id" });',
      'export const transactions = source("transactions", { timestamp: "created_at", file: "./data/transactions.csv" });',
      ...Array(9).fill(''),
      'export const visits = feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT COUNT(*) FROM visit WHERE user = $user" });',
    ]
    using folder = projectFolder({ 'features.ts': definitions.join('\n'), 'data/transactions.csv': sampleTransactions(0) })
    expect((await fabra(['check'], folder.path)).trim()).toBe(outputOf('docs/defining.md', 'fabra check'))
  })
})

describe('the definitions in Python that are shown', () => {
  const shown = ['README.md', 'docs/python.md'].flatMap((path) =>
    blocks(page(path)).filter(({ kind, text }) => kind === 'python' && !text.includes('Client(')),
  )

  test('load, and give a value for a key', async () => {
    expect(shown).toHaveLength(3)
    const { PATH = '', HOME = '' } = process.env
    for (const { text } of shown) {
      const files = { 'features.py': text, 'data/transactions.csv': sampleTransactions(systemClock().now()) }
      await using app = await realApp(files, { PATH, HOME, FABRA_CACHE_DIR: PYTHON_CACHE })
      const names = [...text.matchAll(/^(?:async )?def (\w+)|^(spend) =/gm)].map(([, fn, sql]) => fn ?? sql ?? '')
      expect(names.length).toBeGreaterThan(0)
      for (const name of names) {
        const { text: answer } = await app.get(`/v1/features/${name}?entity_id=u1${name === 'amount_vs_usual' ? '&amount=3.5' : ''}`)
        expect(JSON.parse(answer)).toMatchObject({ feature: name, status: 'fresh' })
      }
    }
  })
})

function outputOf(path: string, command: string): string {
  const found = shownCommands(page(path)).find(({ line }) => line.startsWith(command))
  if (!found) throw new Error(`${path} shows no ${command}.`)
  return found.output
}

/** @returns what it prints, wherever. */
async function fabra(args: readonly string[], cwd: string): Promise<string> {
  let said = ''
  const print = (text: string) => {
    said += text
  }
  await run(args, {
    stdout: print,
    stderr: print,
    cwd,
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    onSignal: () => undefined,
  })
  return said
}

function print(): void {}
