/** What processes give that threads do not: see FABRA_ISOLATION. What all runners promise is in function-runner.test.ts. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parsePlain, plainText } from '../../src/runtime/process/plain-values.ts'
import { startFabra, temporaryFolder } from '../support/binary.ts'
import { pythonSettings } from '../support/python.ts'
import { until } from '../support/until.ts'
import { answered, type Bench, bench, errorOf, HEAD, loadOnce, project } from './project.ts'

setDefaultTimeout(120_000)

const fn = (name: string, code: string, type = 'json') =>
  `export const ${name} = feature({ entity: User, refresh: 0, type: '${type}' }, ${code})\n`
const FEATURES = `${HEAD}const kept = []
${fn('fine', '() => 1', 'int')}
${fn('pid', '() => process.pid', 'int')}
${fn('greedy', 'async () => { for (;;) { kept.push(new Uint8Array(2 ** 23).fill(1)); await Bun.sleep(10) } }')}
${fn('killed', `() => { Bun.spawnSync(['kill', '-9', String(process.pid)]); return 1 }`)}
${fn('names', `() => Object.keys(process.env).filter((name) => /^(FABRA_|SECRET|DATABASE)/.test(name)).sort()`, 'list')}
${fn(
  'odd',
  `async (id, { db, inputs, log }) => {
  const { a, b, c, d } = await db.fetchrow('SELECT odd', '\\0x', 2n ** 70n)
  log.info('seen', { big: 2n ** 70n, text: '\\0x' })
  return [Object.is(a, -0), Number.isNaN(b), String(c), d]
}`,
)}
`
const MEMORY = 512 * 2 ** 20
const settings = { ...pythonSettings(), workerEnv: { PATH: process.env['PATH'], FABRA_ENV: 'production' }, memory: MEMORY }

let on: Bench
beforeAll(async () => {
  const query = async () => ({ columns: ['a', 'b', 'c', 'd'], rows: [[-0, Number.NaN, 2n ** 70n, '\0\0n1']] })
  on = await bench({ 'features.ts': FEATURES }, { isolation: 'process', python: settings, workers: 1, query })
})
afterAll(() => on[Symbol.asyncDispose]())
const ask = (feature: string) => on.ask(feature, ['u1'], { timeoutMs: 60_000 })

test('one that takes too much memory is replaced, and its caller is told how much that was', async () => {
  const before = answered(await ask('pid'))
  expect(before).not.toBe(process.pid)
  const error = errorOf(await ask('greedy'))
  expect(error).toMatchObject({ code: 'feature_failed', hint: expect.stringContaining('FABRA_WORKER_MEMORY') })
  expect(error.message).toMatch(/used \S+ [MG]iB of memory, FABRA_WORKER_MEMORY is 512 MiB/)
  expect(answered(await ask('fine'))).toBe(1)
  expect(answered(await ask('pid'))).not.toBe(before)
})

test('one that breaks takes nobody along but the calls that it had begun', async () => {
  const error = errorOf(await ask('killed'))
  expect([error.code, error.message]).toEqual(['feature_failed', expect.stringMatching(/ended: killed by signal 9 \(SIGKILL\)/)])
  expect(answered(await ask('fine'))).toBe(1)
})

test('it sees its own environment, and not that of the server', async () => {
  process.env['SECRET_OF_THE_SERVER'] = 'x'
  expect(await ask('names')).toMatchObject({ kind: 'value', texts: ['["FABRA_ENV","FABRA_WORKER"]'] })
  delete process.env['SECRET_OF_THE_SERVER']
})

test('numbers that JSON has nothing for, whole ones of any size and odd texts arrive as they are', async () => {
  expect(await ask('odd')).toMatchObject({ kind: 'value', texts: [JSON.stringify([true, true, String(2n ** 70n), '\0\0n1'])] })
  expect(on.queries.at(-1)?.params).toEqual(['\0x', 2n ** 70n])
  expect(on.lines.at(-1)).toMatchObject({ message: 'seen', fields: { big: 2n ** 70n, text: '\0x' } })
  const values = [-0, 0, Number.NaN, -Infinity, 1e20, 2n ** 53n, '\0', '\0n1', 'n1', null, true, JSON.parse('{"__proto__":1,"a":[null]}')]
  expect(parsePlain(plainText(values, false))).toEqual(values)
  expect(parsePlain(plainText(['\0f1', 1], true))).toEqual(['\0f1', 1])
  expect(() => plainText([() => 1], false)).toThrow('function')
})

test('files that cannot be loaded are told as those of threads are', async () => {
  const broken = { 'features.ts': `${HEAD}throw new Error('no database here')\n` }
  const [inThread, inProcess] = [await loadOnce(broken), await loadOnce(broken, { isolation: 'process', python: settings })]
  expect(inProcess.problems).toEqual(inThread.problems)
  const gone = await loadOnce(
    { 'features.ts': `${HEAD}Bun.spawnSync(['kill', '-9', String(process.pid)])\n` },
    { isolation: 'process', python: settings },
  )
  expect(gone.problems).toMatchObject([{ says: expect.stringContaining('killed by signal 9 (SIGKILL)') }])
})

test('the executable serves so, with what the server itself is given left out', async () => {
  const text = `${HEAD}${fn('pid', '() => process.pid', 'int')}${fn('names', `() => Object.keys(process.env).filter((name) => name.startsWith('FABRA_')).sort()`, 'list')}`
  using files = project({ 'features.ts': text.replaceAll('refresh: 0,', "refresh: 0, timeout: '20s',") })
  const env = { FABRA_ISOLATION: 'process', FABRA_WEBHOOK_URL: 'http://127.0.0.1:9/secret' }
  const fabra = await startFabra({ file: 'features.ts', cwd: files.folder, env })
  try {
    const value = async (name: string) =>
      ((await (await fetch(`${fabra.url}/v1/features/${name}?entity_id=u1`)).json()) as { value: unknown }).value
    expect(await value('pid')).not.toBe(fabra.pid)
    expect(await value('names')).toEqual(expect.not.arrayContaining(['FABRA_WEBHOOK_URL']))
    expect(await value('names')).toEqual(expect.arrayContaining(['FABRA_ISOLATION']))
  } finally {
    await fabra.stop()
  }
})

test('none is left behind by a server that is killed, not even one that is blocked for ever', async () => {
  const folder = temporaryFolder()
  try {
    await Bun.write(join(folder, 'features.ts'), `${HEAD}console.log('pid', process.pid)\nBun.sleepSync(600_000)\n`)
    const script = `
      import { createRuntime } from '${join(import.meta.dir, '../../src/runtime/runtime.ts')}'
      const python = { env: {}, workerEnv: process.env, cacheFolders: [], executable: '', memory: 2 ** 30 }
      const runtime = createRuntime({ files: ['${join(folder, 'features.ts')}'], isolation: 'process', python, loadTimeoutMs: 600_000, log: () => {} })
      void runtime.load()
      setInterval(() => {}, 1000)
    `
    await Bun.write(join(folder, 'server.ts'), script)
    const server = Bun.spawn([process.execPath, join(folder, 'server.ts')], { stdio: ['ignore', 'ignore', 'inherit'] })
    const children = () =>
      Bun.spawnSync(['pgrep', '-P', String(server.pid)])
        .stdout.toString()
        .trim()
    const child = await until('its process', 30_000, async () => children().split('\n')[0] || undefined)
    server.kill('SIGKILL')
    await server.exited
    await until('its end', 30_000, async () => (isAlive(Number(child)) ? undefined : true))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

/** One that has ended may be there for ever where nobody asks how. */
function isAlive(pid: number): boolean {
  const { stdout } = Bun.spawnSync(['ps', '-o', 'stat=', '-p', String(pid)])
  return /^[^Z]/.test(stdout.toString().trim())
}
