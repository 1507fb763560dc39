/** A laptop's full disk, as a limit on the size of files: what it refuses is never served, and it is over when there is room. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import { builtBinary } from '../support/binary.ts'
import { PATIENT } from '../support/patience.ts'
import { freePort } from '../support/ports.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

// A server is started twice.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const score = feature({ entity: User, type: "string" });
export const buys = source("buys", { timestamp: "at", id: "id", columns: { id: "VARCHAR", user_id: "VARCHAR", at: "TIMESTAMPTZ" } });
export const count = feature({ entity: User, refresh: 0, type: "int", sql: "SELECT COUNT(*) FROM buys WHERE user_id = $user_id" });
`
const PLENTY = 'unlimited'
/** Small commits after which the log is written into the file. */
const COMMITS = 500

let folder: ProjectFolder
let port: number
let server: Subprocess

beforeEach(async () => {
  folder = projectFolder({ 'features.ts': FEATURES })
  port = await freePort()
  server = await serve()
})
afterEach(async () => {
  server.kill()
  await server.exited
  folder[Symbol.dispose]()
})

/** The signal of a file that grows too large is ignored, so that writing fails as on a full disk. */
async function serve(): Promise<Subprocess> {
  const command = `trap '' XFSZ; exec "$0" serve --port ${port}`
  const started = Bun.spawn(['sh', '-c', command, builtBinary()], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...PATIENT },
    stdio: ['ignore', 'ignore', Bun.file(join(folder.path, 'log'))],
  })
  await until('the server', 30_000, async () => {
    const answer = await ask('GET', '/ready').catch(() => undefined)
    return answer?.status === 200 ? true : undefined
  })
  return started
}
async function ask(method: string, path: string, body?: unknown) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}
const push = (user_id: string, value: string, day = 1) =>
  ask('POST', '/v1/features/score/values', { rows: [{ user_id, value, event_timestamp: `2026-01-0${day}T00:00:00Z` }] })
const buy = (id: string) => ask('POST', '/v1/sources/buys/rows', { rows: [{ id, user_id: 'a', at: '2026-01-01T00:00:00Z' }] })
const read = async (user: string) => (await ask('GET', `/v1/features/score?entity_id=${user}`)).json['value']
const bought = async () => (await ask('GET', '/v1/features/count?entity_id=a')).json['value']
function allow(bytes: number | string): void {
  const { exitCode } = Bun.spawnSync(['prlimit', `--fsize=${bytes}:`, '--pid', String(server.pid)])
  expect(exitCode).toBe(0)
}

test('on a full disk pushes, events and forgetting are refused for now, and refused is neither served nor there after a restart', async () => {
  expect([(await push('a', 'one')).status, (await buy('b1')).status]).toEqual([200, 200])
  allow(statSync(join(folder.path, '.fabra/fabra.duckdb.wal')).size + 50)
  const full = await Promise.all([push('a', 'two', 2), push('b', 'x')])
  for (const one of full) expect(one).toMatchObject({ status: 503, json: { error: { code: 'store_unavailable' } } })
  expect((await buy('b2')).status).toBe(503)
  expect((await ask('DELETE', '/v1/entities/User/a')).status).toBe(503)
  expect([await read('a'), await read('b'), await bought()]).toEqual(['one', null, 1])
  allow(PLENTY)
  expect((await push('c', 'y')).status).toBe(200)
  expect([await read('a'), await read('b'), await bought()]).toEqual(['one', null, 1])
  server.kill('SIGKILL')
  await server.exited
  server = await serve()
  expect([await read('a'), await read('b'), await read('c'), await bought()]).toEqual(['one', null, 'y', 1])
  expect((await push('a', 'two', 2)).json).toEqual({ accepted: 1, duplicates: 0, fenced: 0 })
  expect([(await buy('b2')).json, await read('a'), await bought()]).toEqual([{ accepted: 1, duplicates: 0 }, 'two', 2])
})

test('a checkpoint that the full disk stops takes nothing out of service for long: what was acknowledged is there, and no more', async () => {
  const file = join(folder.path, '.fabra/fabra.duckdb')
  expect([(await push('a', 'one')).status, (await buy('b1')).status]).toEqual([200, 200])
  // The log has room, the file has none.
  allow(Math.max(statSync(file).size, 300_000))
  const log = async () => await Bun.file(join(folder.path, 'log')).text()
  const taken = new Set<string>()
  const refused = new Set<string>()
  for (let i = 0; i < 2 * COMMITS && !(await log()).includes('was opened again'); i++) {
    const { status, json } = await push(`k${i}`, `v${i}`)
    if (status !== 200) expect(json).toMatchObject({ error: { code: 'store_unavailable' } })
    ;(status === 200 ? taken : refused).add(`k${i}`)
  }
  expect(await log()).toContain('let the database go')
  allow(PLENTY)
  await until('pushes are taken', 20_000, async () => ((await push('b', 'two')).status === 200 ? true : undefined))
  const hasAll = async () => {
    expect([await read('a'), await read('b'), await bought()]).toEqual(['one', 'two', 1])
    for (const [keys, count] of [
      [taken, 1],
      [refused, 0],
    ] as const) {
      for (const key of [...keys].slice(-20)) {
        const { json } = await ask('GET', `/v1/features/score/history?entity_id=${key}`)
        expect([key, (json['history'] as unknown[]).length]).toEqual([key, count])
      }
    }
  }
  await hasAll()
  expect((await ask('GET', '/ready')).json).toMatchObject({ stores: { duckdb: 'ok' } })
  server.kill('SIGKILL')
  await server.exited
  server = await serve()
  await hasAll()
})
