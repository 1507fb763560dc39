import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { PATIENT } from './patience.ts'
import { productionAddresses } from './production-mode.ts'
import { type ProjectFolder, projectFolder } from './project-folder.ts'

/** The whole of Fabra but the socket, over a project and a data folder of its own. */
export interface RealApp extends AsyncDisposable {
  readonly folder: ProjectFolder
  readonly app: App
  /** A GET's status and its text, as sent. */
  get(path: string): Promise<{ status: number; text: string }>
  post(path: string, body: unknown): Promise<{ status: number; text: string }>
  /** Stops and starts again on the same data. */
  restart(): Promise<void>
}

/** @param env Besides the data folder. */
export async function realApp(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}): Promise<RealApp> {
  const folder = projectFolder(files)
  const addresses = await productionAddresses(folder.path)
  const given = { ...PATIENT, FABRA_DATA_DIR: join(folder.path, '.fabra'), ...addresses, ...env }
  const config = readConfig(given, { cwd: folder.path, terminal: false })
  const open = () =>
    openApp({
      files: [join(folder.path, 'features.py' in files ? 'features.py' : 'features.ts')],
      config,
      log: silentLogger,
      clockOffset: 0,
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
  return {
    folder,
    get app() {
      return app
    },
    get: (path) => ask(path),
    post: (path, body) => ask(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    async restart() {
      await app.close()
      app = await open()
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      folder[Symbol.dispose]()
    },
  }
}
