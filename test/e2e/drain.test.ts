/** How the executable leaves while it is under load. */
import { describe, expect, test } from 'bun:test'
import { startFabra } from '../support/binary.ts'
import { keepAliveLoad } from '../support/keep-alive-load.ts'
import { projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

const FILES = {
  'features.ts': `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const one = feature({ entity: User, refresh: '5m', type: 'int' }, () => 1)
`,
}

describe('SIGTERM under load', () => {
  test('loses no request that was sent, and lets go of every client', async () => {
    using project = projectFolder(FILES)
    const fabra = await startFabra({ cwd: project.path, file: 'features.ts' })
    const load = keepAliveLoad(`${fabra.url}/v1/features/one?entity_id=u1`, 16)
    await until('a hundred answers', 20_000, async () => (load.answered > 100 ? true : undefined))
    const exitCode = await fabra.stop()
    await load.ended
    expect({ exitCode, lost: load.lost }).toEqual({ exitCode: 0, lost: 0 })
  })
})
