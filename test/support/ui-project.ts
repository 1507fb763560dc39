import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import type { HttpServer } from '../../src/http/server.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { PATIENT, PATIENT_REDIS } from './patience.ts'
import type { ProjectFolder } from './project-folder.ts'

/** A project with everything that can be looked at: it works, it fails, it is pushed, it needs inputs, it reads another. */
export const UI_FEATURES = `import { entity, feature, featureSet, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at', file: './events.csv' })

/** What a user has spent. */
export const spend = feature({
  entity: User,
  refresh: '5m',
  timeout: '60s',
  columns: { total: 'float', times: 'int' },
  sql: \`SELECT SUM(amount) AS total, COUNT(*) AS times FROM events WHERE user_id = $user_id\`,
})

export const broken = feature({ entity: User, refresh: '1h', type: 'int' }, async (userId) => {
  throw new Error(\`nothing is known of \${userId}\`)
})

export const score = feature({ entity: User, type: 'string', default: 'none' })

export const twice = feature({ entity: User, refresh: 0, type: 'float', timeout: '60s' }, async (userId, { get }) => 2 * ((await get(spend))?.total ?? 0))

export const ratio = feature({ entity: User, refresh: 0, type: 'float', inputs: { amount: 'float' } }, async (_, { inputs }) => inputs.amount)

export const risk = featureSet('risk', [spend, score])
`
/** Where it throws. */
export const BROKEN_LINE = 15

export const UI_EVENTS = `user_id,amount,created_at
u1,2.5,2026-01-01T10:00:00Z
u1,3.5,2026-01-02T10:00:00Z
u2,10,2026-01-02T10:00:00Z
u3,30,2026-01-03T10:00:00Z
`

export interface Served extends AsyncDisposable {
  readonly app: App
  readonly server: HttpServer
  /** @returns the JSON of an answer, which must be a good one. */
  get<T>(path: string, key?: string): Promise<T>
  ask(path: string, init?: RequestInit): Promise<Response>
}

/** The whole of Fabra on a socket, in this process, over a folder that outlives it. */
export async function serveFolder(folder: ProjectFolder, env: Readonly<Record<string, string>> = {}): Promise<Served> {
  const given = { ...PATIENT, FABRA_PORT: '0', FABRA_DATA_DIR: join(folder.path, '.fabra'), ...env }
  const config = readConfig(given, { cwd: folder.path, terminal: false })
  const app = await openApp({
    files: [join(folder.path, 'features.ts')],
    config,
    log: silentLogger,
    clockOffset: 0,
    redisTimes: PATIENT_REDIS,
  })
  const server = await app.listen()
  const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init)
  return {
    app,
    server,
    ask,
    async get<T>(path: string, key?: string) {
      const response = await ask(path, key === undefined ? {} : { headers: { 'x-api-key': key } })
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return (await response.json()) as T
    },
    [Symbol.asyncDispose]: () => app.close(),
  }
}

export interface StreamedEvent {
  readonly id: string
  readonly kind: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into events of every kind.
  readonly data: any
}

/** Reads server-sent events until one is as wanted. */
export async function readEvents(response: Response, isLast: (event: StreamedEvent) => boolean): Promise<readonly StreamedEvent[]> {
  const events: StreamedEvent[] = []
  let text = ''
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done) return events
    text += value
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
      if (field('data') !== '') events.push({ id: field('id'), kind: field('event'), data: JSON.parse(field('data')) })
    }
    if (!events.some(isLast)) continue
    await reader?.cancel()
    return events
  }
}
