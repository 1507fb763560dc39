/** How the page is sent, and what it shows to whom where requests need a key. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { openPage, settled, startBrowser } from '../support/browser.ts'
import { type ListeningApp, listeningApp } from '../support/listening-app.ts'
import { realApp } from '../support/real-app.ts'
import { until } from '../support/until.ts'
import { PROJECT_FILES } from './project.ts'
import { KEYS } from './worlds.ts'

setDefaultTimeout(240_000)

const PART = 'fab_part_of_tests'
const hashed = (key: string) => new Bun.CryptoHasher('sha256').update(key).digest('hex')
let browser: Browser
let app: ListeningApp
beforeAll(async () => {
  const keys = `${hashed(KEYS.admin)}:read+train+write+admin,${hashed(KEYS.reader)}:read,${hashed(PART)}:read+write+train+admin;features=payments+broken`
  app = await listeningApp(PROJECT_FILES, { FABRA_API_KEYS: keys, FABRA_ROLE: 'api' })
  browser = await startBrowser()
})
afterAll(async () => {
  await browser?.close()
  await app?.[Symbol.asyncDispose]()
})

const page = (key: string | null, path: string) => open(key, path).then(({ page: opened }) => opened)
async function open(key: string | null, path: string) {
  const watched = await openPage(browser, app.server.url, key)
  await watched.page.goto(`${app.server.url}/ui/${path}`)
  return watched
}
const raw = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${app.server.url}${path}`, { headers, redirect: 'manual', decompress: false })

describe('the files of the page', () => {
  test('need no key, forbid everything from elsewhere, and are asked for once', async () => {
    expect((await raw('/v1/features')).status).toBe(401)
    for (const path of ['/', '/ui']) {
      const moved = await raw(path)
      expect([path, moved.status, moved.headers.get('location')]).toEqual([path, 302, 'ui/'])
    }
    const first = await raw('/ui/')
    expect([first.status, first.headers.get('cache-control')]).toEqual([200, 'no-cache'])
    expect(first.headers.get('content-security-policy')).toStartWith("default-src 'self'; ")
    const html = await first.text()
    expect(html).not.toMatch(/https?:|<style|style=|<script>|onload/)
    const again = await raw('/ui/', { 'if-none-match': first.headers.get('etag') ?? '' })
    expect([again.status, await again.text()]).toEqual([304, ''])
    const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address)
    expect(named).toHaveLength(4)
    for (const address of named) {
      const packed = await raw(`/ui/${address}`, { 'accept-encoding': 'gzip' })
      const plain = await raw(`/ui/${address}`, { 'accept-encoding': 'identity' })
      expect(packed.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
      expect([packed.headers.get('content-encoding'), plain.headers.get('content-encoding')]).toEqual(['gzip', null])
      expect(Buffer.from(Bun.gunzipSync(await packed.arrayBuffer())).equals(Buffer.from(await plain.bytes()))).toBe(true)
    }
  })

  test('are found from every address inside of the page, and nothing else is', async () => {
    const deep = await raw('/ui/entities/User/u1')
    expect(await deep.text()).toContain('src="../../assets/main-')
    for (const path of ['/ui/assets/nothing.js', '/ui/assets/..%2f..%2fpackage.json', '/ui/a/b/c/d']) {
      const answer = await raw(path, { 'x-api-key': KEYS.reader })
      expect([path, answer.status]).toEqual([path, 404])
    }
  })

  test('are not there with FABRA_UI=off', async () => {
    await using off = await realApp(PROJECT_FILES, { FABRA_UI: 'off' })
    for (const path of ['/', '/ui', '/ui/', '/ui/catalogue']) expect([path, (await off.get(path)).status]).toEqual([path, 404])
    const docs = await off.get('/docs')
    expect([docs.status, docs.text]).toEqual([200, expect.stringContaining('href="openapi.json"')])
    await using on = await realApp(PROJECT_FILES)
    expect((await on.get('/ui/')).status).toBe(200)
  })
})

describe('where requests need a key', () => {
  test('there is nothing but the sign-in without one, and none that is wrong is kept', async () => {
    const { page: opened, asked } = await open(null, 'catalogue?state=fresh')
    await opened.getByLabel('API key').waitFor()
    expect(await opened.locator('header, nav, table').count()).toBe(0)
    expect(asked.map((url) => new URL(url).pathname).filter((path) => !path.startsWith('/ui/'))).toEqual(['/v1/me'])
    await opened.getByLabel('API key').fill('fab_wrong')
    await opened.keyboard.press('Enter')
    await opened.getByText('unknown or revoked').waitFor()
    expect(await stored(opened)).toEqual([])
    await opened.getByLabel('API key').fill(KEYS.reader)
    await opened.keyboard.press('Enter')
    await opened.getByRole('table', { name: 'features', exact: true }).waitFor()
    expect(await stored(opened)).toEqual([KEYS.reader])
    await opened.getByRole('button', { name: /sign out/ }).click()
    await opened.getByLabel('API key').waitFor()
    expect(await stored(opened)).toEqual([])
    const exposed = [
      ...asked,
      opened.url(),
      JSON.stringify(app.said),
      await opened.evaluate<string>('JSON.stringify(localStorage) + document.cookie'),
    ]
    expect(exposed.filter((text) => text.includes(KEYS.reader) || text.includes('fab_wrong'))).toEqual([])
    await opened.context().close()
  })

  test('a key that reads alone sees no ids, no texts, and nothing that changes anything', async () => {
    const reader = await page(KEYS.reader, 'features/broken')
    await reader.getByText('This key may not see the text.').waitFor()
    expect(await reader.getByRole('button', { name: 'refresh now' }).count()).toBe(0)
    await reader.goto(`${app.server.url}/ui/entities/User/u1`)
    await reader.getByText('This key may not see who reads.').waitFor()
    expect(await reader.getByRole('button', { name: /forget/ }).count()).toBe(0)
    await reader.goto(`${app.server.url}/ui/training`)
    await reader.getByLabel('labels file', { exact: true }).waitFor()
    expect(await reader.getByRole('button', { name: 'write SQL' }).count()).toBe(0)
    const admin = await page(KEYS.admin, 'features/broken')
    await admin.locator('.code .k').first().waitFor()
    await admin.getByRole('button', { name: 'refresh now' }).waitFor()
    await Promise.all([reader, admin].map((one) => one.context().close()))
  })

  test('a key that sees some features has every page of them, and is told calmly what it may not see', async () => {
    await app.ask('/v1/features/broken/refresh', {
      method: 'POST',
      body: JSON.stringify({ rows: [{ user_id: 'u1' }] }),
      headers: { 'x-api-key': KEYS.admin, 'content-type': 'application/json' },
    })
    const { page: opened, faults } = await open(PART, '')
    await opened.getByText('This key sees payments, broken.').waitFor()
    await opened.getByRole('table', { name: 'needs attention' }).getByRole('link', { name: 'broken' }).waitFor()
    await opened.locator('.counts').getByText('2 features').waitFor()
    const [all, closed] = ['', 'It sees payments, broken, and what is here tells of more.']
    const rooms: readonly [path: string, shows: string | RegExp, notice: string][] = [
      ['', 'Needs attention', closed],
      ['catalogue', 'worst first', all],
      ['features/broken', 'Definition', closed],
      ['entities/User/u1', 'Served last', all],
      ['entities/User/u1?as_of=2026-01-02T00:00:00Z', 'as of', all],
      ['runs', 'Under way at once', all],
      ['lineage', 'This key may not see this.', closed],
      ['training', 'A training set begins with labels', all],
      ['live', /requests? shown/, all],
      ['api', 'Read', all],
    ]
    for (const [path, shows, notice] of rooms) {
      await opened.goto(`${app.server.url}/ui/${path}`)
      await opened.getByText(shows).first().waitFor()
      await settled(opened)
      const text = await opened.locator('body').innerText()
      expect([path, text.includes(notice), await opened.locator('[role=alert]').count()]).toEqual([path, true, 0])
      expect([path, ['spend', 'forgotten', 'score', 'fraud_v1', 'events.csv'].filter((name) => text.includes(name))]).toEqual([path, []])
    }
    expect(await opened.getByRole('button', { name: /forget|write SQL/ }).count()).toBe(0)
    await opened.keyboard.press('/')
    await opened.getByRole('dialog').getByText('payments').first().waitFor()
    expect(faults).toEqual([])
    await opened.context().close()
  })

  test('requests are shown as they come: with their ids to administrators, and to others without', async () => {
    const pages = [await page(KEYS.admin, 'live'), await page(KEYS.reader, 'live')]
    const body = JSON.stringify({ features: ['payments'], rows: [{ user_id: 'secret-id' }] })
    const headers = { 'x-api-key': KEYS.admin, 'content-type': 'application/json' }
    const [admin, reader] = pages as [Page, Page]
    for (const one of pages) {
      await one.getByText(/requests? shown/).waitFor()
      await until('a request to be shown', 60_000, async () => {
        await app.ask('/v1/features', { method: 'POST', body, headers })
        return (await one.getByRole('table', { name: 'requests', exact: true }).count()) > 0 ? true : undefined
      })
      expect(await one.getByRole('table', { name: 'requests', exact: true }).innerText()).toContain('payments')
    }
    await admin.getByRole('link', { name: 'User secret-id' }).first().waitFor()
    expect(await reader.locator('main').innerText()).not.toContain('secret-id')
    await admin.keyboard.press('p')
    await admin.getByRole('button', { name: /^go on/ }).waitFor()
    await Promise.all(pages.map((one) => one.context().close()))
  })

  test('what is copied gives what is shown', async () => {
    const opened = await page(KEYS.reader, 'catalogue')
    await opened.getByText('copy as').click()
    const texts = await opened.locator('.menu code').allTextContents()
    const [curl = '', , python = '', script = ''] = texts
    const env = { ...process.env, FABRA_API_KEY: KEYS.reader }
    for (const command of [
      ['sh', '-c', curl],
      ['python3', '-c', python],
      [process.execPath, '-e', script],
    ]) {
      // The server is in this process: waiting for the child must not stop it.
      const child = Bun.spawn(command, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      const said = (await Promise.all([child.stdout.text(), child.stderr.text()])).join('')
      expect({ command: command[0], said }).toEqual({ command: command[0], said: expect.stringContaining('pair_payments') })
    }
    expect(texts.join()).not.toContain(KEYS.reader)
    await opened.context().close()
  })
})

/** Texts of this tab's storage. */
async function stored(opened: Page): Promise<string[]> {
  return opened.evaluate<string[]>('Object.values(sessionStorage)')
}
