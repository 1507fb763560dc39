import { afterEach, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { temporaryFolder } from '../support/binary.ts'
import { PATIENT, PATIENT_REDIS } from '../support/patience.ts'
import { until } from '../support/until.ts'

const folder = temporaryFolder()
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('keys in use are computed for a changed feature before the server says that it is ready', async () => {
  const first = await serve(`SELECT COUNT(*) FROM events WHERE user_id = $user_id`)
  expect(await value(first, 'u1')).toMatchObject({ value: 2, served_from: 'computed' })
  await first.close()

  const second = await serve(`SELECT COUNT(*) + 100 FROM events WHERE user_id = $user_id`)
  const { url } = await second.listen()
  await until('readiness', 10_000, async () => ((await fetch(`${url}/ready`)).ok ? true : undefined))
  expect(await value(second, 'u1')).toMatchObject({ value: 102, served_from: 'online' })
  expect(await value(second, 'u2')).toMatchObject({ value: 101, served_from: 'computed' })
  await second.close()
})

function serve(sql: string): Promise<App> {
  writeFileSync(join(folder, 'events.csv'), 'user_id,at\nu1,2020-01-01T00:00:00Z\nu1,2020-01-02T00:00:00Z\nu2,2020-01-01T00:00:00Z\n')
  const file = join(folder, 'features.ts')
  writeFileSync(
    file,
    `import { entity, feature, source } from 'fabra'
    export const User = entity('User', { key: 'user_id' })
    export const events = source('events', { timestamp: 'at', file: './events.csv' })
    export const visits = feature({ entity: User, refresh: '1h', type: 'int', sql: \`${sql.replace('$', '\\$')}\` })`,
  )
  const config = readConfig({ ...PATIENT, FABRA_PORT: '0', FABRA_DATA_DIR: join(folder, '.fabra') }, { cwd: folder, terminal: false })
  return openApp({ files: [file], config, log: silentLogger, clockOffset: 0, redisTimes: PATIENT_REDIS })
}

async function value(app: App, id: string): Promise<unknown> {
  return (await app.fetch(new Request(`http://localhost/v1/features/visits?entity_id=${id}`))).json()
}
