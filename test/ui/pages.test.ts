/** The page at /ui as people meet it: in Chromium, from both kinds of servers, light and dark, wide and narrow, by hand and by keyboard. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { uiFiles } from '../../src/http/ui/bundle.ts'
import { openPage, overflow, settled, violations, type Watched } from '../support/browser.ts'
import { BROKEN_AT, FORGOTTEN_AT, SCORE_AT } from './project.ts'
import { KEYS, openWorlds, type Worlds } from './worlds.ts'

setDefaultTimeout(240_000)

const PACKED_LIMIT = 120_000
const ROOMS: readonly [path: string, shows: string][] = [
  ['', 'Needs attention'],
  ['catalogue', 'pair_payments'],
  ['features/spend.total', 'Definition'],
  ['features/broken', 'no such user'],
  ['entities', 'merchant_id string'],
  ['entities/User/u1', 'Served last'],
  ['runs', 'Under way at once'],
  ['lineage', 'The same as a list'],
  ['training', 'A training set begins with labels'],
  ['live', 'Latency of requests'],
  ['api?op=getFeature', 'One feature of one entity key'],
  ['nowhere', 'There is no page'],
]

let worlds: Worlds
beforeAll(async () => {
  worlds = await openWorlds()
})
afterAll(() => worlds?.[Symbol.asyncDispose]())

const modes = ['laptop', 'production'] as const
const open = async (mode: (typeof modes)[number], path: string, key = KEYS.admin): Promise<Watched> => {
  const { url } = worlds[mode].server
  const watched = await openPage(worlds.browser, url, mode === 'laptop' ? null : key)
  await watched.page.goto(`${url}/ui/${path}`)
  return watched
}
const shows = (page: Page, text: string) => page.getByText(text, { exact: false }).first().waitFor()
/** What the page of User u1 shows as the value of a column: one cell, whatever other tables of the page name it. */
const valueCell = (page: Page, column: string) =>
  page
    .getByRole('table', { name: 'values of User u1', exact: true })
    .getByRole('row')
    .filter({ has: page.getByRole('link', { name: column, exact: true }) })
    .locator('td')
    .nth(2)

test('all files of the page have less than 120 kB, packed', async () => {
  const files = await uiFiles()
  const total = files.reduce((sum, { packed }) => sum + packed.length, 0)
  expect(total).toBeGreaterThan(20_000)
  expect(total).toBeLessThan(PACKED_LIMIT)
})

describe.each(modes)('every page of a server in %s mode', (mode) => {
  let watched: Watched
  beforeAll(async () => {
    watched = await open(mode, '')
  })
  afterAll(() => watched.page.context().close())

  test.each(ROOMS)('/ui/%s passes axe, light and dark, wide and narrow, and asks nothing of others', async (path, text) => {
    const { page, faults } = watched
    // The pages of both modes are the same but for few words: all rules, contrast among them, for one theme in each.
    const looks = [
      { theme: 'light', width: 1440, axed: mode === 'laptop' },
      { theme: 'dark', width: 390, axed: mode === 'production' },
    ] as const
    await page.goto(`${worlds[mode].server.url}/ui/${path}`)
    for (const { theme, width, axed } of looks) {
      await page.setViewportSize({ width, height: 900 })
      await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
      await shows(page, text)
      await settled(page)
      if (axed) expect({ theme, width, found: await violations(page) }).toEqual({ theme, width, found: [] })
      expect({ width, overflow: await overflow(page) }).toEqual({ width, overflow: 0 })
    }
    expect(faults).toEqual([])
  })
})

describe('what is ill', () => {
  test.each([
    ['broken', 'failing', '2 of 2 keys failed', BROKEN_AT],
    ['forgotten', 'late', '', FORGOTTEN_AT],
    ['score', 'pushes stopped', 'The last push came', SCORE_AT],
  ])('%s is found from the overview in one click, with its reason and its line', async (feature, word, why, place) => {
    const { page, faults } = await open('laptop', '')
    const row = page.getByRole('table', { name: 'needs attention', exact: true }).getByRole('row')
    // A feature has a row for each of its reasons.
    const attention = row.filter({ has: page.getByRole('link', { name: feature, exact: true }) }).filter({
      has: page.getByText(word, { exact: true }),
    })
    expect(await attention.innerText()).toContain(place)
    expect(await attention.innerText()).toContain(why)
    await attention.click()
    await page.getByRole('heading', { level: 1, name: feature, exact: true }).waitFor()
    const verdict = page.locator('.verdict').filter({ hasText: place })
    expect(await verdict.innerText()).toContain(why)
    // Where a line is at fault it is marked in the text.
    if (feature === 'broken') expect(await page.locator('.code .hit').innerText()).toContain('no such user')
    expect(faults).toEqual([])
    await page.context().close()
  })
})

describe('by keyboard alone', () => {
  test('one finds, walks, opens, turns the light and learns the keys', async () => {
    const { page, faults } = await open('laptop', '')
    await shows(page, 'Needs attention')
    await page.keyboard.press('/')
    await page.keyboard.type('pair_pay')
    // Typed and entered without looking: what is found may not even be here yet.
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'pair_payments', exact: true }).waitFor()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('user u1')
    await page.getByRole('option', { name: /User u1/ }).waitFor()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'User u1', exact: true }).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('catal')
    await page.keyboard.press('Enter')
    // By name: the order of states and reads may change while one walks.
    const table = page.getByRole('table', { name: 'features', exact: true })
    await table.getByRole('button', { name: 'feature', exact: true }).press('Enter')
    await page.waitForURL(/sort=feature/)
    for (const key of ['j', 'j', 'j', 'k']) await page.keyboard.press(key)
    const name = await table.locator('tbody tr[data-i="1"]:focus-within a').innerText()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
    await page.keyboard.press('t')
    await page.locator('html[data-theme=dark]').waitFor()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'keys', exact: true }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog', { name: 'keys', exact: true }).waitFor({ state: 'detached' })
    expect(faults).toEqual([])
    await page.context().close()
  })

  test('the time of a key is moved, and its values are those of then, as a training set has them', async () => {
    const { page, faults } = await open('laptop', 'entities/User/u1?as_of=2026-01-02T12:00:00.000Z')
    await page.getByText('recomputed', { exact: true }).first().waitFor()
    const labels = [{ user_id: 'u1', event_timestamp: '2026-01-02T12:00:00Z' }]
    const body = JSON.stringify({ features: ['payments', 'spend'], rows: labels, format: 'jsonl' })
    const set = await worlds.laptop.ask('/v1/training-sets', { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    const row = (await set.json()) as Record<string, unknown>
    expect(row['payments']).toBe(2)
    // What takes longer than a moment comes later.
    await valueCell(page, 'payments').getByText('2', { exact: true }).waitFor()
    await valueCell(page, 'spend.total').getByText(String(row['spend.total']), { exact: true }).waitFor()
    // As fast as one can press: each press moves on from where the one before it came to.
    for (const key of ['Shift+ArrowRight', 'Shift+ArrowRight', 'Shift+ArrowLeft']) await page.keyboard.press(key)
    await page.waitForURL(/as_of=2026-01-03T12/)
    await valueCell(page, 'payments').getByText('3', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'back to now', exact: true }).click()
    await page.waitForURL((url) => !url.search.includes('as_of'))
    expect(faults).toEqual([])
    await page.context().close()
  })
})

test('the address holds what is shown', async () => {
  const { page } = await open('laptop', 'catalogue')
  await page.getByRole('button', { name: /^error/ }).click()
  await page.getByRole('button', { name: 'feature', exact: true }).click()
  await page.getByRole('searchbox', { name: 'filter these rows' }).fill('bro')
  await page.waitForURL(/\?state=error&sort=feature&q=bro$/)
  await page.reload()
  await page.getByText('1 of 8', { exact: true }).waitFor()
  expect(await page.locator('th[aria-sort=descending]').innerText()).toBe('feature')
  expect(await page.locator('tbody tr').count()).toBe(1)
  await page.context().close()
})

test('a training set is looked at, made and handed over', async () => {
  const { page, faults } = await open('laptop', 'training')
  await page.getByRole('checkbox', { name: /^payments/ }).check()
  await page.waitForURL(/features=payments$/)
  const rows = ['u1,2026-01-01T12:00:00Z,0', 'u1,2026-01-03T12:00:00Z,1']
  const buffer = Buffer.from(`user_id,event_timestamp,label\n${rows.join('\n')}\n`)
  await page.getByLabel('labels file').setInputFiles({ name: 'labels.csv', mimeType: 'text/csv', buffer })
  await page.getByRole('button', { name: /^preview/ }).click()
  const preview = page.getByRole('table', { name: 'preview of the training set' })
  expect(await preview.locator('tbody tr').nth(1).innerText()).toMatch(/u1\t.*\t1\t3$/)
  await page.getByLabel('format').selectOption('csv')
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'make 2 rows' }).click()])
  expect(download.suggestedFilename()).toBe('labels_set.csv')
  expect(
    (await Bun.file(await download.path()).text())
      .trim()
      .split('\n')
      .map((line) => line.split(',').at(-1)),
  ).toEqual(['payments', '1', '3'])
  // Others of these tests make sets of more features.
  const made = page.getByRole('table', { name: 'training sets', exact: true }).getByRole('row')
  const exact = made.filter({ has: page.getByText('payments', { exact: true }) }).filter({ hasText: 'done' })
  await exact.first().waitFor()
  expect(faults).toEqual([])
  await page.context().close()
})
