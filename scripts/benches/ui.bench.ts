import type { Browser, Page } from 'playwright-core'
import { uiFiles } from '../../src/http/ui/bundle.ts'
import { type RunningFabra, startFabra } from '../../test/support/binary.ts'
import { settled, startBrowser } from '../../test/support/browser.ts'
import type { Bench, Measurement } from './bench.ts'
import { definitions, fill } from './large-project.ts'
import { read, SHARED_CACHE } from './server.ts'
import { withProject } from './training-run.ts'

const RUNS = 3
/** Looks at the past are made of hundreds of statements. */
const PAST_RUNS = 1
/** Of all files of the page. */
const PACKED_KB = 120
const DATA_MS = 1_000
const PAINT_MS = 300
/** Refreshes of 500 features, which begin with the server, are measured elsewhere. */
const ROLE = { FABRA_ROLE: 'api' }

/** Every page of a project with 500 features and a million recorded values: what it asks the server for, its first paint, and until all is shown. */
export const bench: Bench = async () =>
  withProject(definitions(), async (cwd) => {
    await fill(cwd)
    const server = await startFabra({ file: 'features.ts', cwd, env: { FABRA_CACHE_DIR: SHARED_CACHE, ...ROLE } })
    const browser = await startBrowser()
    try {
      await warm(server)
      return [await size(), ...(await answers(server)), ...(await pages(browser, server))]
    } finally {
      await browser.close()
      await server.stop()
    }
  })

/** Every value of two keys is computed and read, so that there are figures to show: one with half of the history, and one with little. */
async function warm(server: RunningFabra): Promise<void> {
  for (const user of ['u1', 'u2']) await read(server, `/v1/entities/User/${user}`)
}

async function size(): Promise<Measurement> {
  const files = await uiFiles()
  const bytes = files.reduce((sum, { packed }) => sum + packed.length, 0)
  return { what: 'all files of the page, packed', unit: 'kB', values: [bytes / 1_000], atMost: PACKED_KB }
}

const past = () => new Date(Date.now() - 2 * 86_400_000 - Math.floor(Math.random() * 3_600_000)).toISOString()

/** A moment that was not asked for before: nothing of it is kept. */
const runsOf = (name: string) => (name.includes('as of') ? PAST_RUNS : RUNS)

const ASKED: readonly [name: string, path: () => string][] = [
  ['/v1/overview', () => '/v1/overview'],
  ['/v1/features?statistics=1h', () => '/v1/features?statistics=1h'],
  ['/v1/features/{name}/statistics', () => '/v1/features/f3/statistics?window=24h'],
  ['/v1/features/{name}/definition', () => '/v1/features/f3/definition'],
  ['/v1/runs', () => '/v1/runs?limit=200'],
  ['/v1/changes', () => '/v1/changes?limit=100'],
  ['/v1/lineage', () => '/v1/lineage'],
  ['/v1/entities/{entity}/{id}, now', () => '/v1/entities/User/u1?history=7d'],
  ['/v1/entities/{entity}/{id}, as of', () => `/v1/entities/User/u1?history=7d&as_of=${past()}`],
]

async function answers(server: RunningFabra): Promise<Measurement[]> {
  const measured: Measurement[] = []
  for (const [name, path] of ASKED) {
    const values: number[] = []
    let pending = 0
    for (let run = 0; run < runsOf(name); run++) {
      const address = path()
      const started = performance.now()
      let answer = JSON.parse(await read(server, address)) as { pending?: number }
      values.push(performance.now() - started)
      pending = Math.max(pending, answer.pending ?? 0)
      for (; (answer.pending ?? 0) > 0; answer = JSON.parse(await read(server, address)) as { pending?: number }) await Bun.sleep(50)
    }
    measured.push({ what: `${name}${pending > 0 ? ` (not whole: ${pending} pending)` : ''}`, unit: 'ms', values, atMost: DATA_MS })
  }
  return measured
}

const PAGES: readonly [name: string, path: () => string, shows: string][] = [
  ['Overview', () => '', 'Needs attention'],
  ['Catalogue', () => 'catalogue', 'worst first'],
  ['Feature', () => 'features/f3', 'Definition'],
  ['Entity', () => 'entities/User/u1', 'Served last'],
  ['Entity, as of', () => `entities/User/u1?as_of=${past()}`, 'Served last'],
  ['Runs', () => 'runs', 'Under way at once'],
  ['Lineage', () => 'lineage', 'The same as a list'],
  ['Training', () => 'training', 'A training set begins with labels'],
  ['Live', () => 'live', 'Latency of requests'],
  ['API', () => 'api', 'Read'],
]

/** As people have it: a browser that is open, and has been here before. */
async function pages(browser: Browser, { url }: RunningFabra): Promise<Measurement[]> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
  const page = await context.newPage()
  const measured: Measurement[] = []
  for (const [name, path, shows] of PAGES) {
    const [paints, wholes]: [number[], number[]] = [[], []]
    // The first one of each page compiles its scripts.
    for (let run = name.includes('as of') ? 0 : -1; run < runsOf(name); run++) {
      const { paint, whole } = await opened(page, `${url}/ui/${path()}`, shows)
      if (run < 0) continue
      paints.push(paint)
      wholes.push(whole)
    }
    measured.push({ what: `${name}: first paint`, unit: 'ms', values: paints, atMost: PAINT_MS })
    measured.push({ what: `${name}: all is shown`, unit: 'ms', values: wholes, atMost: DATA_MS })
  }
  await context.close()
  return measured
}

async function opened(page: Page, address: string, shows: string): Promise<{ paint: number; whole: number }> {
  await page.goto('about:blank')
  await page.goto(address, { waitUntil: 'commit' })
  await page.getByText(shows).first().waitFor()
  await settled(page)
  await page.getByText('computing').first().waitFor({ state: 'detached' })
  const whole = await page.evaluate<number>('performance.now()')
  const paint = await page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
  return { paint, whole }
}
