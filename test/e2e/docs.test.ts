/** The pages at /docs and /ui, as the executable serves them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
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

/** What the page loads, as it names it. */
async function named(): Promise<string[]> {
  const html = await (await get('/docs')).text()
  return [...html.matchAll(/(?:src|href)="([^"]+)"/g)].flatMap(([, address = '']) => (address.startsWith('data:') ? [] : [address]))
}

describe('GET /docs', () => {
  test('is open where features ask for a key; what it shows, /openapi.json, is not', async () => {
    expect((await get('/v1/features')).status).toBe(401)
    expect((await get('/docs')).status).toBe(200)
    expect((await get('openapi.json')).status).toBe(401)
    expect((await get('openapi.json', { 'x-api-key': 'fab_reader' })).status).toBe(200)
    expect((await get('/docs')).headers.get('content-type')).toBe('text/html; charset=utf-8')
  })

  test('loads nothing from elsewhere, and its policy would not let it', async () => {
    const page = await get('/docs')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toStartWith("default-src 'none'; script-src 'self'; ")
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/)
    expect(await page.text()).not.toMatch(/https?:|\/\//)
    expect(await named()).toHaveLength(3)
    for (const address of await named()) {
      expect(address).toMatch(/^docs\/[\w.-]+\?v=/)
      const text = await (await fetch(new URL(address, `${fabra.url}/docs`))).text()
      if (address.includes('.css')) expect(text).not.toMatch(/@import|url\(["']?(https?:)?\/\//)
    }
    const start = await (await get('docs/start.js')).text()
    expect(start).not.toMatch(/https?:/)
    expect(start).toContain('validatorUrl: null')
  })

  test('sends what it needs packed, to be kept for ever', async () => {
    for (const address of await named()) {
      const packed = await get(address, { 'accept-encoding': 'gzip, br' })
      const plain = await get(address, { 'accept-encoding': 'identity' })
      expect([packed.status, packed.headers.get('content-encoding')]).toEqual([200, 'gzip'])
      expect([plain.status, plain.headers.get('content-encoding')]).toEqual([200, null])
      expect(packed.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
      expect(packed.headers.get('vary')).toBe('accept-encoding')
      expect(gunzipSync(await packed.bytes()).equals(await plain.bytes())).toBe(true)
    }
    expect((await get('/docs')).headers.get('cache-control')).toBe('no-cache')
  })

  test('has no other files, and no second address', async () => {
    for (const path of ['docs/nothing.js', 'docs/..%2f..%2fetc%2fpasswd', 'docs/package.json']) {
      const answer = await get(path)
      expect([path, answer.status, answer.headers.get('content-type')]).toEqual([path, 404, 'application/json'])
    }
    const slash = await get('/docs/')
    expect([slash.status, slash.headers.get('location')]).toEqual([308, '../docs'])
  })
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
