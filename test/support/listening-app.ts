import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import type { HttpServer } from '../../src/http/server.ts'
import { PATIENT, PATIENT_REDIS } from './patience.ts'
import { type ProjectFolder, projectFolder } from './project-folder.ts'

/** The whole of Fabra on a socket, in this process: what it logs can be looked at. */
export interface ListeningApp extends AsyncDisposable {
  readonly app: App
  readonly folder: ProjectFolder
  readonly server: HttpServer
  readonly said: Said[]
  ask(path: string, init?: RequestInit): Promise<Response>
}

export interface Said {
  readonly level: string
  readonly message: string
  readonly fields: unknown
}

/** @param env Besides the data folder and a free port. */
export async function listeningApp(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<ListeningApp> {
  const folder = projectFolder(files)
  const said: Said[] = []
  const say = (level: string) => (message: string, fields?: unknown) => void said.push({ level, message, fields })
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  try {
    const config = readConfig(
      { ...PATIENT, FABRA_PORT: '0', FABRA_DATA_DIR: join(folder.path, '.fabra'), ...env },
      { cwd: folder.path, terminal: false },
    )
    const app = await openApp({ files: [join(folder.path, 'features.ts')], config, log, clockOffset: 0, redisTimes: PATIENT_REDIS })
    const server = await app.listen()
    return {
      app,
      folder,
      server,
      said,
      ask: (path, init) => fetch(`${server.url}${path}`, init),
      async [Symbol.asyncDispose]() {
        await app.close()
        folder[Symbol.dispose]()
      },
    }
  } catch (error) {
    folder[Symbol.dispose]()
    throw error
  }
}
