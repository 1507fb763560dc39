import type { Browser, Page } from 'playwright-core'
import { uiFiles } from '../../src/http/ui/bundle.ts'
import { type RunningFabra, startFabra } from '../../test/support/binary.ts'
import { settled, startBrowser } from '../../test/support/browser.ts'
import type { Bench, Measurement } from './bench.ts'
import { definitions, fill } from './large-project.ts'
import { read, SHARED_CACHE } from './server.ts'
import { withProject } from './training-run.ts'

const RUNS = 3
/** Of all files of the page. */
const PACKED_KB = 120
const DATA_MS = 1_000
const PAINT_MS = 300
/** After which the rest of a past moment is not waited for. */
const WHOLE_LIMIT_MS = 60_000
/** Reading 500 definitions takes seconds, and on a machine with other work minutes. */
const START_LIMIT_MS = 600_000
/** Refreshes of 500 features, which begin with the server, are measured elsewhere. */
const ROLE = { FABRA_ROLE: 'api' }

/** Every page of a project with 500 features and a million recorded values: what it asks the server for, its first paint, and until all is shown. */
export const bench: Bench = async () =>
  withProject(definitions(), async (cwd) => {
    await fill(cwd)
    const env = { FABRA_CACHE_DIR: SHARED_CACHE, ...ROLE }
    const server = await startFabra({ file: 'features.ts', cwd, env, startLimitMs: START_LIMIT_MS })
    try {
      const browser = await startBrowser()
      try {
        await warm(server)
        return [await size(), ...(await answers(server)), ...(await wholePast(server)), ...(await pages(browser, server))]
      } finally {
        await browser.close()
      }
    } finally {
      await server.stop()
    }
  })

/** Every value of two keys is computed and read, so that there are figures to show: one with half of the history, and one with little. */
async function warm(server: RunningFabra): Promise<void> {
  for (const user of ['u1', 'u2']) await read(server, `/v1/entities/User/${user}`)
}

/** A row is said when it is there: what comes later may take long, or fail. */
function reported(row: Measurement): Measurement {
  console.error(`  ${row.what}: ${row.values.map((value) => value.toFixed(0)).join(', ') || 'not measured'} ${row.unit}`)
  return row
}

/** What fails has a row without values, and keeps nothing else from being measured. */
async function row(about: Omit<Measurement, 'values'>, measure: () => Promise<readonly number[]>): Promise<Measurement> {
  try {
    return reported({ ...about, values: await measure() })
  } catch (error) {
    console.error(`  ${about.what}: ${error instanceof Error ? error.message : error}`)
    return reported({ ...about, values: [] })
  }
}

async function size(): Promise<Measurement> {
  const files = await uiFiles()
  const bytes = files.reduce((sum, { packed }) => sum + packed.length, 0)
  return reported({ what: 'all files of the page, packed', unit: 'kB', values: [bytes / 1_000], atMost: PACKED_KB })
}

const past = () => new Date(Date.now() - 2 * 86_400_000 - Math.floor(Math.random() * 3_600_000)).toISOString()

/** A moment of the past is one that was not asked for before: nothing of it is kept. */
const ASKED: readonly [name: string, path: () => string][] = [
  ['/v1/overview', () => '/v1/overview'],
  ['/v1/features?statistics=1h', () => '/v1/features?statistics=1h'],
  ['/v1/features/{name}/statistics', () => '/v1/features/f3/statistics?window=24h'],
  ['/v1/features/{name}/definition', () => '/v1/features/f3/definition'],
  ['/v1/runs', () => '/v1/runs?limit=200'],
  ['/v1/changes', () => '/v1/changes?limit=100'],
  ['/v1/lineage', () => '/v1/lineage'],
  ['/v1/entities/{entity}/{id}, now', () => '/v1/entities/User/u1?history=7d'],
  ['/v1/entities/{entity}/{id}, as of: what there is', () => `/v1/entities/User/u1?history=7d&as_of=${past()}`],
]

async function answers(server: RunningFabra): Promise<Measurement[]> {
  const measured: Measurement[] = []
  for (const [what, path] of ASKED)
    measured.push(
      await row({ what, unit: 'ms', atMost: DATA_MS }, async () => {
        const values: number[] = []
        for (let run = 0; run < RUNS; run++) {
          const address = path()
          const started = performance.now()
          await read(server, address)
          values.push(performance.now() - started)
        }
        return values
      }),
    )
  return measured
}

/** Until every value of a moment is there, and the time of the processor that all of it takes. */
async function wholePast(server: RunningFabra): Promise<Measurement[]> {
  const worked: number[] = []
  const whole = await row({ what: 'as of: all 500 values', unit: 'ms', atMost: DATA_MS }, async () => {
    const values: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const address = `/v1/entities/User/u1?as_of=${past()}`
      const [started, before] = [performance.now(), await cpuMs(server)]
      for (;;) {
        const { pending = 0 } = JSON.parse(await read(server, address)) as { pending?: number }
        if (pending === 0) break
        if (performance.now() - started > WHOLE_LIMIT_MS) throw new Error(`${pending} values are still pending.`)
      }
      values.push(performance.now() - started)
      worked.push((await cpuMs(server)) - before)
    }
    return values
  })
  return [whole, reported({ what: 'as of: time of the processor', unit: 'ms', values: worked })]
}

/** In ticks of ten milliseconds. */
async function cpuMs({ pid }: RunningFabra): Promise<number> {
  const fields = (await Bun.file(`/proc/${pid}/stat`).text()).split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
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
  context.setDefaultTimeout(WHOLE_LIMIT_MS)
  const page = await context.newPage()
  const measured: Measurement[] = []
  for (const [name, path, shows] of PAGES) {
    const paints: number[] = []
    const shown = await row({ what: `${name}: its data is shown`, unit: 'ms', atMost: DATA_MS }, async () => {
      const values: number[] = []
      // The first one of each page compiles its scripts.
      for (let run = -1; run < RUNS; run++) {
        const { paint, whole } = await opened(page, `${url}/ui/${path()}`, shows)
        if (run < 0) continue
        paints.push(paint)
        values.push(whole)
      }
      return values
    })
    measured.push(reported({ what: `${name}: first paint`, unit: 'ms', values: paints, atMost: PAINT_MS }), shown)
  }
  await context.close()
  return measured
}

/** Values of the past that are still computed are said to be; they are measured by themselves. */
async function opened(page: Page, address: string, shows: string): Promise<{ paint: number; whole: number }> {
  await page.goto('about:blank')
  await page.goto(address, { waitUntil: 'commit' })
  await page.getByText(shows).first().waitFor()
  await settled(page)
  const whole = await page.evaluate<number>('performance.now()')
  const paint = await page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
  return { paint, whole }
}
