import { join } from 'node:path'
import { RedisClient } from 'bun'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { PATIENT, PATIENT_REDIS } from './patience.ts'
import { productionAddresses } from './production-mode.ts'
import { type ProjectFolder, projectFolder } from './project-folder.ts'

/** The whole of Fabra but the socket, over a project and a data folder of its own. */
export interface RealApp extends AsyncDisposable {
  readonly folder: ProjectFolder
  readonly app: App
  /** A GET's status and its text, as sent. */
  get(path: string): Promise<{ status: number; text: string }>
  post(path: string, body: unknown): Promise<{ status: number; text: string }>
  /** Stops and starts again on the same data. @param env In the place of what was given. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>
  /** Redis is emptied while the process runs; memory goes with it. */
  loseLatest(): Promise<void>
}

/** @param env Besides the data folder. */
export async function realApp(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}): Promise<RealApp> {
  const folder = projectFolder(files)
  const addresses = await productionAddresses(folder.path)
  const common = { ...PATIENT, FABRA_DATA_DIR: join(folder.path, '.fabra'), ...addresses }
  let config = readConfig({ ...common, ...env }, { cwd: folder.path, terminal: false })
  const open = () =>
    openApp({
      files: [join(folder.path, 'features.py' in files ? 'features.py' : 'features.ts')],
      config,
      log: silentLogger,
      clockOffset: 0,
      redisTimes: PATIENT_REDIS,
    })
  let app: App
  try {
    app = await open()
  } catch (error) {
    folder[Symbol.dispose]()
    throw error
  }
  const ask = async (path: string, init?: RequestInit) => {
    const response = await app.fetch(new Request(`http://127.0.0.1:8000${path}`, init))
    return { status: response.status, text: await response.text() }
  }
  const restart: RealApp['restart'] = async (other) => {
    await app.close()
    if (other) config = readConfig({ ...common, ...other }, { cwd: folder.path, terminal: false })
    app = await open()
  }
  return {
    folder,
    get app() {
      return app
    },
    get: (path) => ask(path),
    post: (path, body) => ask(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    restart,
    async loseLatest() {
      const url = addresses.FABRA_REDIS_URL
      if (url === undefined) return restart()
      const redis = new RedisClient(url)
      await redis.send('FLUSHDB', [])
      redis.close()
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      folder[Symbol.dispose]()
    },
  }
}
