import { expect } from 'bun:test'
import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { PATIENT } from './patience.ts'
import type { ProjectFolder } from './project-folder.ts'

/** One of several servers over the same stores. */
export interface Replica {
  get(path: string): Promise<{ readonly status: number; readonly json: Readonly<Record<string, unknown>> }>
  /** The served value of a feature. */
  read(feature: string, user?: string): Promise<unknown>
  append(source: string, row: object): Promise<void>
  send(
    method: 'POST' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<{ readonly status: number; readonly json: Readonly<Record<string, unknown>> }>
  metrics(): Promise<string>
  close(): Promise<void>
}

/** @param name Of its data folder. @param addresses Variables that name the stores. */
export async function startReplica(folder: ProjectFolder, name: string, addresses: Readonly<Record<string, string>>): Promise<Replica> {
  const env = { ...PATIENT, ...addresses, FABRA_DATA_DIR: join(folder.path, name), FABRA_PORT: '0' }
  const config = readConfig(env, { cwd: folder.path, terminal: false })
  const app: App = await openApp({ files: [join(folder.path, 'features.ts')], config, log: silentLogger, clockOffset: 0 })
  const { url } = await app.listen()
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${url}${path}`, init)
    return { status: response.status, json: (await response.json()) as Readonly<Record<string, unknown>> }
  }
  const replica: Replica = {
    get: (path) => ask(path),
    read: async (feature, user = 'u1') => (await ask(`/v1/features/${feature}?user_id=${user}`)).json['value'],
    send: (method, path, body) => ask(path, { method, ...(body ? { body: JSON.stringify(body) } : {}) }),
    async append(source, row) {
      expect(await replica.send('POST', `/v1/sources/${source}/rows`, { rows: [row] })).toMatchObject({ status: 200 })
    },
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    close: () => app.close(),
  }
  return replica
}
