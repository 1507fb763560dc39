/** Two servers and one browser, for all tests of the page: a laptop's, which is the executable, and one in production over PostgreSQL and Redis. */
import type { Browser } from 'playwright-core'
import { startFabra } from '../support/binary.ts'
import { startBrowser } from '../support/browser.ts'
import { type ListeningApp, listeningApp } from '../support/listening-app.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'
import { PROJECT_FILES } from './project.ts'

export const KEYS = { admin: 'fab_admin_of_tests', reader: 'fab_reader_of_tests' }

/** What tests need of a server, whether it is a process of its own or not. */
type AskedServer = Pick<ListeningApp, 'ask'> & { readonly server: Pick<ListeningApp['server'], 'url'> }

export interface Worlds extends AsyncDisposable {
  readonly browser: Browser
  readonly laptop: AskedServer
  readonly production: ListeningApp
}

const LIMIT_MS = 180_000
/** Nothing is refreshed by itself: what is on the page stands still, and costs nothing. */
const ROLE = { FABRA_ROLE: 'api' }
/** Wherever tests are run, it is a laptop's. */
const NO_STORES = { FABRA_POSTGRES_URL: undefined, FABRA_REDIS_URL: undefined }

export async function openWorlds(): Promise<Worlds> {
  const opened: AsyncDisposable[] = []
  const close = async () => {
    for (const one of opened.reverse()) await one[Symbol.asyncDispose]()
  }
  const keep = <T extends AsyncDisposable>(one: T): T => {
    opened.push(one)
    return one
  }
  try {
    const [browser, servers] = await Promise.all([startBrowser(), startProduction()])
    keep(servers)
    opened.push({ [Symbol.asyncDispose]: () => browser.close() })
    const laptop = keep(await laptopExecutable())
    const production = keep(await productionApp(servers))
    await makeIll(laptop)
    await makeIll(production, { authorization: `Bearer ${KEYS.admin}` })
    return { browser, laptop, production, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

async function laptopExecutable(): Promise<AskedServer & AsyncDisposable> {
  const folder = projectFolder(PROJECT_FILES)
  try {
    const fabra = await startFabra({ file: 'features.ts', cwd: folder.path, env: { ...ROLE, ...NO_STORES } })
    return {
      server: fabra,
      ask: (path, init) => fetch(`${fabra.url}${path}`, init),
      async [Symbol.asyncDispose]() {
        await fabra.stop()
        folder[Symbol.dispose]()
      },
    }
  } catch (error) {
    folder[Symbol.dispose]()
    throw error
  }
}

async function productionApp(servers: ProductionServers): Promise<ListeningApp> {
  const hashed = (key: string) => new Bun.CryptoHasher('sha256').update(key).digest('hex')
  return listeningApp(PROJECT_FILES, {
    ...(await servers.fresh()),
    ...ROLE,
    FABRA_ENV: 'production',
    FABRA_HOST: '127.0.0.1',
    FABRA_API_KEYS: `${hashed(KEYS.admin)}:read+train+write+admin,${hashed(KEYS.reader)}:read`,
  })
}

interface Attention {
  readonly attention: readonly { readonly feature: string; readonly reason: { readonly code: string } }[]
}

/** Reads everything once; then one feature fails, one grows old because nobody refreshes here, and pushes to one have stopped. */
async function makeIll({ ask }: Pick<ListeningApp, 'ask'>, headers: Record<string, string> = {}): Promise<void> {
  const send = async (path: string, body: unknown) => {
    const response = await ask(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { ...headers, 'content-type': 'application/json' },
    })
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  }
  const rows = [{ user_id: 'u1' }, { user_id: 'u2' }]
  await send('/v1/features', { features: ['payments', 'spend', 'is_new', 'broken', 'forgotten'], rows })
  await send('/v1/features', { features: ['pair_payments'], rows: [{ user_id: 'u1', merchant_id: 'm1' }] })
  await send('/v1/features/score/values', { rows: [{ user_id: 'u1', value: 0.25 }] })
  for (const feature of ['broken', 'forgotten']) await send(`/v1/features/${feature}/refresh`, {})
  const wanted = ['broken failing', 'score pushes_stopped', 'forgotten late']
  await until('three ill features', LIMIT_MS, async () => {
    const { attention } = (await (await ask('/v1/overview', { headers })).json()) as Attention
    const found = attention.map(({ feature, reason }) => `${feature} ${reason.code}`)
    return wanted.every((one) => found.includes(one)) ? true : undefined
  })
}
