/** Pictures of the UI for README and docs: `scripts/screenshots [name…]`. The project is the example of fraud detection, and three features that are ill. */
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type RunningFabra, startFabra, temporaryFolder } from '../test/support/binary.ts'
import { settled, startBrowser, type Theme } from '../test/support/browser.ts'

const PROJECT = join(import.meta.dir, '..')
const OUT = join(PROJECT, 'docs/screenshots')
/** Long enough for every chart to have a line. */
const TRAFFIC_MS = Number(process.env['FABRA_SCREENSHOT_SECONDS'] ?? 100) * 1_000
const USERS = 80

/** Ill in three ways: it fails, it is too slow for one key, its pushes stopped. */
const ILL = `
/** Asks a table of another team for the age of the card. */
export const card_age_days = feature({ entity: User, refresh: '15s', type: 'int', owner: 'risk', tags: ['card'] }, async (userId) => {
  const cards: Record<string, { issued: string }> = {}
  return Math.round((Date.now() - Date.parse(cards[userId].issued)) / 86_400_000)
})

/** A score of a partner who is slow to answer for some. */
export const partner_score = feature(
  { entity: User, refresh: '20s', type: 'float', timeout: '300ms', max_staleness: '1h', owner: 'risk' },
  async (userId) => {
    if (userId.endsWith('7')) await new Promise((resolve) => setTimeout(resolve, 1_000))
    return Math.round(Math.sin(userId.length * Number(userId.slice(1))) * 500 + 500) / 1000
  },
)

/** Written by a nightly job. */
export const churn_score = feature({ entity: User, type: 'float', max_staleness: '20s', owner: 'growth', tags: ['model'] })
`

interface Picture {
  readonly name: string
  readonly path: string
  readonly shows: string
  readonly theme?: Theme
  readonly height?: number
  readonly width?: number
  readonly act?: (page: Page) => Promise<unknown>
}

const yesterday = new Date(Math.floor((Date.now() - 86_400_000) / 1_800_000) * 1_800_000).toISOString()
const labels = Array.from(
  { length: 60 },
  (_, i) => `u${(i * 7) % USERS},${new Date(Date.now() - (i + 1) * 7_200_000).toISOString()},${Number(i % 9 === 0)}`,
)

const PICTURES: readonly Picture[] = [
  { name: 'overview', path: '', shows: 'Needs attention', height: 860 },
  { name: 'overview-dark', path: '', shows: 'Needs attention', theme: 'dark', height: 860 },
  { name: 'catalogue', path: 'catalogue', shows: 'worth a look', height: 560 },
  { name: 'feature', path: 'features/card_age_days', shows: 'Reads and readers', height: 900 },
  { name: 'feature-fresh', path: 'features/transaction_count_1h', shows: 'Reads and readers', height: 1000 },
  { name: 'entity', path: `entities/User/u1?as_of=${yesterday}`, shows: 'recomputed', height: 620 },
  { name: 'runs', path: 'runs', shows: 'first error', theme: 'dark', height: 760 },
  { name: 'lineage', path: 'lineage?at=feature:transaction_count_1h', shows: 'The same as a list', height: 560 },
  { name: 'live', path: 'live', shows: 'Latency of requests', theme: 'dark', height: 760, act: (page) => page.waitForTimeout(6_000) },
  { name: 'training', path: 'training?features=transaction_count_1h,avg_transaction_amount', shows: 'Labels', height: 860, act: previewed },
  { name: 'api', path: 'api?op=getFeature', shows: 'One feature of one entity key', height: 760 },
  { name: 'phone', path: 'catalogue', shows: 'copy as', width: 390, height: 760, theme: 'dark' },
]

async function previewed(page: Page): Promise<void> {
  const buffer = Buffer.from(`user_id,event_timestamp,is_fraud\n${labels.join('\n')}\n`)
  await page.getByLabel('labels file').setInputFiles({ name: 'labels.csv', mimeType: 'text/csv', buffer })
  await page.getByRole('button', { name: /^preview/ }).click()
  await page.getByRole('table', { name: 'preview of the training set' }).waitFor()
}

function project(): string {
  const root = temporaryFolder()
  const folder = join(root, 'shop')
  mkdirSync(folder)
  cpSync(join(PROJECT, 'examples/data'), join(folder, 'data'), { recursive: true })
  return folder
}

/** Reads as a shop would, until the time is over or it is told to stop. */
async function traffic({ url }: RunningFabra, names: readonly string[], until: () => boolean): Promise<void> {
  const send = (path: string, body: unknown) =>
    fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }).then((answer) =>
      answer.bytes(),
    )
  for (let n = 0; !until(); n++) {
    const user_id = `u${1 + ((n * 13) % USERS)}`
    await send(
      '/v1/features',
      n % 5 === 4 ? { features: names, rows: [{ user_id }] } : { feature_set: 'fraud_v1', rows: [{ user_id }] },
    ).catch(() => undefined)
    if (n % 20 === 10)
      await send('/v1/features', { features: ['merchant_day'], rows: [{ merchant_id: `m${1 + (n % 30)}` }] }).catch(() => undefined)
    if (n < 5) await send('/v1/features/churn_score/values', { rows: [{ user_id, value: n / 10 }] })
    await Bun.sleep(40)
  }
}

async function take(page: Page, url: string, picture: Picture): Promise<void> {
  const { name, path, shows, theme = 'light', width = 1280, height = 720 } = picture
  await page.setViewportSize({ width, height })
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
  await page.goto(`${url}/ui/${path}`)
  await page.getByText(shows).first().waitFor()
  await settled(page)
  await page.getByText('computing …').first().waitFor({ state: 'detached' })
  await picture.act?.(page)
  await page.waitForTimeout(500)
  await page.screenshot({ path: join(OUT, `${name}.png`) })
  console.error(`docs/screenshots/${name}.png`)
}

const wanted = process.argv.slice(2)
mkdirSync(OUT, { recursive: true })
const folder = project()
const example = await Bun.file(join(PROJECT, 'examples/fraud_detection.ts')).text()
await Bun.write(join(folder, 'features.ts'), example + ILL)
const fabra = await startFabra({ file: 'features.ts', cwd: folder })
const browser = await startBrowser()
try {
  const { features } = (await (await fetch(`${fabra.url}/v1/features`)).json()) as {
    features: { name: string; entity: string; inputs: object }[]
  }
  const names = features.filter(({ entity, inputs }) => entity === 'User' && Object.keys(inputs).length === 0).map(({ name }) => name)
  let isOver = false
  const reading = traffic(fabra, names, () => isOver)
  await Bun.sleep(TRAFFIC_MS)
  const page = await browser.newPage()
  for (const picture of PICTURES) if (wanted.length === 0 || wanted.includes(picture.name)) await take(page, fabra.url, picture)
  isOver = true
  await reading
} finally {
  await browser.close()
  await fabra.stop()
  rmSync(join(folder, '..'), { recursive: true, force: true })
}
