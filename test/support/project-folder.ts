import { expect } from 'bun:test'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runFabra, temporaryFolder } from './binary.ts'

/** A user's project in a folder of its own, removed at the end of the scope that `using` it. */
export interface ProjectFolder extends Disposable {
  readonly path: string
  write(files: Readonly<Record<string, string>>): void
}

export function projectFolder(files: Readonly<Record<string, string>>): ProjectFolder {
  const root = temporaryFolder()
  const path = join(root, 'project')
  const write = (given: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(given)) {
      mkdirSync(dirname(join(path, name)), { recursive: true })
      writeFileSync(join(path, name), text)
    }
  }
  write(files)
  return { path, write, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) }
}

/** The lines most features files begin with; definitions that follow start on line 4. */
export const HEAD = `import { entity, feature, featureSet, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at', file: './events.csv' })
`

export const EVENTS = `id,user_id,amount,created_at
1,u1,2.5,2026-01-01 10:00:00
2,u1,3.5,2026-01-01 11:00:00
`

/** One feature over those events. */
export const VISITS = `export const visits = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })\n`
export const PLAIN = { 'features.ts': HEAD + VISITS, 'events.csv': EVENTS }

/** What `fabra get` prints. */
export async function get(cwd: string, args: readonly string[], env: Record<string, string | undefined> = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await runFabra(['get', ...args], { cwd, env })
  expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' })
  return stdout.trim()
}
