/** Chromium as Debian packs it, without a window, and pages that remember what they should not have done. */
import axe from 'axe-core'
import { type Browser, chromium, type Page } from 'playwright-core'

/** On a machine with much more to do. Nothing waits this long when all is well. */
const WAIT_MS = 120_000

export async function startBrowser(): Promise<Browser> {
  const executablePath = Bun.which('chromium') ?? Bun.which('google-chrome')
  if (executablePath === null) throw new Error('There is no Chromium. scripts/setup --test installs it (Debian: apt-get install chromium).')
  // As root, and where containers have little shared memory.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

export type Theme = 'light' | 'dark'

export interface Watched {
  readonly page: Page
  /** Addresses that were asked for. */
  readonly asked: string[]
  /** Requests to elsewhere, errors of scripts and of the console. Refusals that a test provokes are its own to tell apart. */
  readonly faults: string[]
}

/** A page of its own, in a window of its own. @param key Kept as the page keeps it after signing in. */
export async function openPage(browser: Browser, url: string, key: string | null = null): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' })
  context.setDefaultTimeout(WAIT_MS)
  const page = await context.newPage()
  const asked: string[] = []
  const faults: string[] = []
  page.on('request', (request) => {
    asked.push(request.url())
    if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) faults.push(`asked elsewhere: ${request.url()}`)
  })
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(`${message.text()} ${message.location().url}`)
  })
  if (key !== null) await page.addInitScript(`sessionStorage.setItem('fabra.key', ${JSON.stringify(key)})`)
  return { page, asked, faults }
}

/** What axe-core finds, as lines that say where. @param only Rules; default: all of them. */
export async function violations(page: Page, only?: readonly string[]): Promise<string[]> {
  if (!(await page.evaluate<boolean>('typeof axe === "object"'))) await page.evaluate(axe.source)
  const options = only ? { runOnly: { type: 'rule', values: only } } : {}
  const found = await page.evaluate<{ id: string; nodes: { target: string[]; html: string }[] }[]>(
    `axe.run(document, ${JSON.stringify(options)}).then((result) => result.violations)`,
  )
  return found.flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id}: ${target.join(' ')} ${html.slice(0, 160)}`))
}

/** Waits until nothing is awaited, and nothing that is shown is old. */
export function settled(page: Page): Promise<void> {
  return page.locator('.skel, .old, [aria-busy=true]').first().waitFor({ state: 'detached' })
}

/** How far the page can be pushed sideways. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate<number>('Math.max(0, document.documentElement.scrollWidth - innerWidth)')
}
