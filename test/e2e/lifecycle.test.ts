/** How a server ends, what is left of it, and how its definitions change while it runs. */
import { describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { builtBinary, type RunningFabra, runFabra, startFabra } from '../support/binary.ts'
import { EVENTS, HEAD, type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

const FILES = {
  'features.ts': `${HEAD}
export const visits = feature({ entity: User, refresh: '1h', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const answer = feature({ entity: User, refresh: 0, type: 'int' }, () => 42)
export const slow = feature({ entity: User, refresh: 0, type: 'int', timeout: '20s' }, (key, { log }) => {
  log.info('slow began')
  return new Promise((resolve) => setTimeout(resolve, 1000, 1))
})
export const never = feature({ entity: User, refresh: 0, type: 'int', timeout: '60s' }, (key, { log }) => {
  log.info('never began')
  return new Promise(() => {})
})
export const loop = feature({ entity: User, refresh: 0, type: 'int', timeout: '60s' }, async (key, { log }) => {
  log.info('loop began')
  await new Promise((resolve) => setTimeout(resolve, 10))
  while (true) {}
})
`,
  'events.csv': EVENTS,
}

interface Served {
  readonly value: unknown
  readonly served_from: string
  readonly event_timestamp: string
}

async function ask(server: RunningFabra, feature: string, key = 'u1'): Promise<Served> {
  const response = await fetch(`${server.url}/v1/features/${feature}?entity_id=${key}`)
  return (await response.json()) as Served
}

const start = (project: ProjectFolder, options: Partial<Parameters<typeof startFabra>[0]> = {}) =>
  startFabra({ cwd: project.path, file: 'features.ts', ...options })

describe('the end', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} answers the request in flight, then ends with exit code 0`, async () => {
      using project = projectFolder(FILES)
      const server = await start(project)
      const running = ask(server, 'slow')
      await until('the function to run', 5_000, async () => (server.stderr().includes('slow began') ? true : undefined))
      process.kill(server.pid, signal)
      expect(await running).toMatchObject({ value: 1, served_from: 'computed' })
      expect(await server.exited).toBe(0)
    })
  }

  test('SIGINT while the definitions load does not wait for them', async () => {
    using project = projectFolder({
      'features.ts': `${HEAD}console.log('loading')\nawait new Promise((resolve) => setTimeout(resolve, 600_000))\n`,
    })
    await using child = Bun.spawn([builtBinary(), 'serve', '--port', '0'], { cwd: project.path, stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    for await (const chunk of child.stderr) {
      stderr += new TextDecoder().decode(chunk)
      if (stderr.includes('loading')) child.kill('SIGINT')
    }
    expect(await child.exited).toBe(0)
  })

  for (const feature of ['never', 'loop']) {
    test(`a computation that hangs (${feature}) does not hold up the end for longer than FABRA_DRAIN_SECONDS`, async () => {
      using project = projectFolder(FILES)
      const server = await start(project, { env: { FABRA_DRAIN_SECONDS: '1' } })
      const hanging = fetch(`${server.url}/v1/features/${feature}?entity_id=u1`).catch(() => undefined)
      await until('the function to run', 5_000, async () => (server.stderr().includes(`${feature} began`) ? true : undefined))
      // Neither function ends by itself, and nobody else ends it.
      expect(await server.stop()).toBe(0)
      await hanging
    })
  }
})

test('after kill -9 a value comes back from history, with its old event timestamp', async () => {
  using project = projectFolder(FILES)
  const first = await start(project)
  const before = await ask(first, 'visits')
  expect(before).toMatchObject({ value: 2, served_from: 'computed' })
  await until('the value in history', 5_000, async () => {
    const response = await fetch(`${first.url}/v1/features/visits/history?entity_id=u1`)
    const { history } = (await response.json()) as { history: readonly unknown[] }
    return history.length > 0 ? true : undefined
  })
  await first.kill()
  // What a new computation would find is different, so that it cannot be mistaken for the old value.
  project.write({ 'events.csv': `${EVENTS}3,u1,1,2026-01-01 12:00:00\n` })
  const second = await start(project)
  expect(await ask(second, 'visits')).toMatchObject({ value: 2, served_from: 'online', event_timestamp: before.event_timestamp })
  expect(await ask(second, 'visits', 'u2')).toMatchObject({ value: 0, served_from: 'computed' })
  expect(await second.stop()).toBe(0)
})

describe('a second process', () => {
  test('on the same port is told that it is in use', async () => {
    using project = projectFolder(FILES)
    const server = await start(project)
    const env = { FABRA_DATA_DIR: join(project.path, 'other') }
    const second = await runFabra(['serve', '--port', String(server.port)], { cwd: project.path, env })
    expect(second).toMatchObject({ exitCode: 1, stdout: '' })
    expect(second.stderr).toContain(`error port_in_use: Port ${server.port} on 127.0.0.1 is in use by another process.`)
    expect(await ask(server, 'answer')).toMatchObject({ value: 42 })
    expect(await server.stop()).toBe(0)
  })
})

describe('fabra serve --watch', () => {
  const watched = {
    'features.ts': `${HEAD}import { number } from './lib/number.ts'
export const visits = feature({ entity: User, refresh: 0, type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const answer = feature({ entity: User, refresh: 0, type: 'int' }, () => number)
`,
    'lib/number.ts': `export { number } from './deep.ts'\n`,
    'lib/deep.ts': 'export const number = 1\n',
    'events.csv': EVENTS,
  }
  const becomes = (server: RunningFabra, feature: string, value: unknown) =>
    until(`${feature} to become ${value}`, 10_000, async () => ((await ask(server, feature)).value === value ? true : undefined))

  test('serves what is saved: the file, what it imports, its sources', async () => {
    using project = projectFolder(watched)
    const server = await start(project, { args: ['--watch'] })
    expect(await ask(server, 'answer')).toMatchObject({ value: 1 })
    project.write({ 'lib/deep.ts': 'export const number = 2\n' })
    await becomes(server, 'answer', 2)
    project.write({ 'features.ts': watched['features.ts'].replace('=> number', '=> number * 10') })
    await becomes(server, 'answer', 20)
    project.write({ 'events.csv': `${EVENTS}3,u1,1,2026-01-01 12:00:00\n` })
    await becomes(server, 'visits', 3)
    expect(await server.stop()).toBe(0)
  })

  test('a broken file leaves the last good definitions serving and is told with its line; the mended one is taken', async () => {
    using project = projectFolder(watched)
    const server = await start(project, { args: ['--watch'] })
    project.write({ 'lib/deep.ts': 'export const number = \n' })
    await until('the error', 10_000, async () => (server.stderr().includes('deep.ts:1:') ? true : undefined))
    expect(await ask(server, 'answer')).toMatchObject({ value: 1 })
    project.write({ 'lib/deep.ts': 'export const number = 3\n' })
    await becomes(server, 'answer', 3)
    project.write({ 'events.csv': 'id,user_id\n1,u1\n' })
    await until('the error', 10_000, async () => (server.stderr().includes('no column "created_at"') ? true : undefined))
    expect(await ask(server, 'visits')).toMatchObject({ value: 2 })
    expect(await server.stop()).toBe(0)
  })

  test('takes files that come into the folders and patterns of sources, in new folders too', async () => {
    const features = `${HEAD.replace('./events.csv', './data')}
export const more = source('more', { file: './more/*/*.csv.gz', columns: { user_id: 'VARCHAR' } })
export const visits = feature({ entity: User, refresh: 0, type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const extra = feature({ entity: User, refresh: 0, type: 'int', sql: 'SELECT COUNT(*) FROM more WHERE user_id = $user_id' })
`
    using project = projectFolder({ 'features.ts': features, 'data/a.csv': EVENTS })
    const packed = (name: string, text: string) => {
      mkdirSync(dirname(join(project.path, name)), { recursive: true })
      writeFileSync(join(project.path, name), Bun.gzipSync(Buffer.from(text)))
    }
    packed('more/1/a.csv.gz', 'user_id\nu1\n')
    const server = await start(project, { args: ['--watch'] })
    expect(await ask(server, 'visits')).toMatchObject({ value: 2 })
    project.write({ 'data/b.csv': EVENTS })
    await becomes(server, 'visits', 4)
    project.write({ 'data/day=2026-01-02/c.csv': EVENTS, 'data/a.csv': EVENTS.replaceAll('u1', 'u2') })
    await becomes(server, 'visits', 4)
    project.write({ 'data/day=2026-01-02/d.csv': EVENTS })
    await becomes(server, 'visits', 6)
    packed('more/2/b.csv.gz', 'user_id\nu1\n')
    await becomes(server, 'extra', 2)
    rmSync(join(project.path, 'data/b.csv'))
    await becomes(server, 'visits', 4)
    expect(await server.stop()).toBe(0)
  })
})

describe('a start over a long history', () => {
  const users = 6_000

  test('answers before it has come back, as it does afterwards, also after it was killed meanwhile', async () => {
    using project = projectFolder({
      'events.csv': EVENTS,
      'features.ts': `${HEAD}export const score = feature({ entity: User, type: 'int' })`,
    })
    const first = await start(project)
    const push = async (server: RunningFabra, rows: readonly object[]) => {
      const body = JSON.stringify({ rows })
      const response = await fetch(`${server.url}/v1/features/score/values`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      expect(response.status).toBe(200)
    }
    const all = Array.from({ length: users }, (_, i) => ({ user_id: `u${i}`, value: i, event_timestamp: '2026-01-01T00:00:00Z' }))
    for (let from = 0; from < users; from += 1_000) await push(first, all.slice(from, from + 1_000))
    await first.stop()

    const killed = await start(project)
    expect(await ask(killed, 'score', 'u17')).toMatchObject({ value: 17, served_from: 'online' })
    await push(killed, [{ user_id: 'u18', value: 1_800, event_timestamp: '2026-01-02T00:00:00Z' }])
    await killed.kill()

    const server = await start(project)
    const values = async () => Promise.all(['u5', 'u18', 'u5999', 'nobody'].map(async (key) => (await ask(server, 'score', key)).value))
    expect(await values()).toEqual([5, 1_800, 5_999, null])
    await until('the server to be ready', 30_000, async () => ((await fetch(`${server.url}/ready`)).ok ? true : undefined))
    expect(await (await fetch(`${server.url}/ready`)).json()).not.toHaveProperty('recovery')
    await until('the log to say so', 10_000, async () => (server.stderr().includes('values came back from history') ? true : undefined))
    expect(await values()).toEqual([5, 1_800, 5_999, null])
    expect(await ask(server, 'score', 'u5')).toMatchObject({ event_timestamp: '2026-01-01T00:00:00Z' })
    await server.stop()
  })
})
