/** The pages at /docs and /ui, as the executable serves them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type RunningFabra, runFabra, startFabra } from '../support/binary.ts'

const EXAMPLE = join(import.meta.dir, '../../examples/basic_features.ts')
let fabra: RunningFabra
beforeAll(async () => {
  fabra = await startFabra({
    file: EXAMPLE,
    env: { FABRA_API_KEYS: `${new Bun.CryptoHasher('sha256').update('fab_reader').digest('hex')}:read` },
  })
})
afterAll(() => fabra.stop())

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(new URL(path, `${fabra.url}/docs`), { headers, decompress: false, redirect: 'manual' })

test('GET /docs is open where features ask for a key, and leads to the room of the page that shows the API', async () => {
  expect((await get('/v1/features')).status).toBe(401)
  expect((await get('openapi.json')).status).toBe(401)
  expect((await get('openapi.json', { 'x-api-key': 'fab_reader' })).status).toBe(200)
  for (const [path, to] of [
    ['/docs', 'ui/api'],
    ['/docs/', '../ui/api'],
  ] as const) {
    const moved = await get(path)
    expect([path, moved.status, moved.headers.get('location'), moved.headers.get('cache-control')]).toEqual([path, 302, to, 'no-cache'])
    const page = await fetch(`${fabra.url}${path}`)
    expect([page.url, page.status]).toEqual([`${fabra.url}/ui/api`, 200])
    expect(page.headers.get('content-security-policy')).toStartWith("default-src 'self'; ")
    expect(await page.text()).not.toMatch(/https?:|\/\//)
  }
  expect((await get('/docs/package.json', { 'x-api-key': 'fab_reader' })).status).toBe(404)
})

describe('GET /ui', () => {
  test('comes out of the executable with all that it names, and its address is told', async () => {
    const html = await (await fetch(`${fabra.url}/ui/`)).text()
    const named = [...html.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)].map(([, address = '']) => address)
    expect(named).toHaveLength(4)
    for (const address of named) {
      const answer = await fetch(`${fabra.url}/ui/${address}`)
      expect([address, answer.status, (await answer.bytes()).length > 50]).toEqual([address, 200, true])
    }
    expect(fabra.stdout()).toContain(`Look at them on ${fabra.url}/ui/\n`)
    const here = await runFabra(['ui'], { cwd: fabra.cwd })
    expect({ ...here, stderr: '' }).toEqual({ exitCode: 0, stdout: `${fabra.url}/ui/\n`, stderr: '' })
    const json = await runFabra(['ui', '--json', '--url', `${fabra.url}/`], { cwd: fabra.cwd })
    expect(JSON.parse(json.stdout)).toEqual({ url: `${fabra.url}/ui/` })
    const nowhere = await runFabra(['ui', '--url', 'http://127.0.0.1:9'], { cwd: fabra.cwd })
    expect([nowhere.exitCode, nowhere.stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining('No server answers at http://127.0.0.1:9/ui/'),
    ])
  })
})
