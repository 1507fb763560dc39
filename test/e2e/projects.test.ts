/** Projects as people have them: packages, several files, odd paths, folders that cannot be written. */
import { describe, expect, test } from 'bun:test'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { runFabra, startFabra } from '../support/binary.ts'
import { EVENTS, get, HEAD, PLAIN, projectFolder, VISITS } from '../support/project-folder.ts'

describe('a features file may', () => {
  test('import its own files, packages of its node_modules and paths of its tsconfig', async () => {
    using project = projectFolder({
      'features.ts': `import { feature } from 'fabra'
import { twice } from 'kit'
import { three } from '@lib/three'
import { User } from './entities'
export { User }
export const six = feature({ entity: User, refresh: 0, type: 'int' }, () => twice(three))
`,
      'entities.ts': `import { entity } from 'fabra'\nexport const User = entity('User', { key: 'user_id' })\n`,
      'src/lib/three.ts': 'export const three = 3\n',
      'tsconfig.json': JSON.stringify({ compilerOptions: { paths: { '@lib/*': ['./src/lib/*'], fabra: ['./.fabra/fabra.d.ts'] } } }),
      'node_modules/kit/package.json': JSON.stringify({ name: 'kit', version: '1.0.0', main: 'index.cjs', types: 'index.d.ts' }),
      'node_modules/kit/index.cjs': 'exports.twice = (x) => x * 2\n',
      'node_modules/kit/index.d.ts': 'export function twice(x: number): number\n',
    })
    expect(await get(project.path, ['six', 'u1'])).toBe('6')
    expect(await runFabra(['check'], { cwd: project.path })).toMatchObject({ exitCode: 0 })
  })

  test('be one of several that refer to each other', async () => {
    using project = projectFolder({
      ...PLAIN,
      'more.ts': `import { feature } from 'fabra'
import { User, visits } from './features.ts'
export const doubled = feature({ entity: User, refresh: 0, type: 'int' }, async (key, { get }) => 2 * ((await get(visits)) ?? 0))
`,
    })
    expect(await get(project.path, ['doubled', 'u1', '-f', 'features.ts', 'more.ts'])).toBe('4')
    expect(await get(project.path, ['doubled', 'u1', '-f', 'more.ts', 'features.ts'])).toBe('4')
  })

  test('lie in a folder with blanks and letters of any language', async () => {
    using project = projectFolder({ 'my shöp – 商店/features.ts': HEAD + VISITS, 'my shöp – 商店/events.csv': EVENTS })
    const folder = join(project.path, 'my shöp – 商店')
    expect(await get(folder, ['visits', 'u1'])).toBe('2')
    const server = await startFabra({ cwd: folder, file: 'features.ts' })
    expect(await (await fetch(`${server.url}/v1/features/visits?entity_id=u1`)).json()).toMatchObject({ value: 2 })
    expect(await server.stop()).toBe(0)
  })

  test('be named by a link, or lie in a folder that is', async () => {
    using project = projectFolder({ 'shop/features.ts': HEAD + VISITS, 'shop/events.csv': EVENTS })
    symlinkSync(join(project.path, 'shop'), join(project.path, 'link'))
    symlinkSync(join(project.path, 'shop/features.ts'), join(project.path, 'features.ts'))
    expect(await get(project.path, ['visits', 'u1', '-f', 'link/features.ts'])).toBe('2')
    expect(await get(project.path, ['visits', 'u1'])).toBe('2')
  })
})

describe('folders', () => {
  test('a cache folder that cannot be made does not keep the executable from running', async () => {
    using project = projectFolder({ ...PLAIN, file: '' })
    expect(await get(project.path, ['visits', 'u1'], { FABRA_CACHE_DIR: join(project.path, 'file/cache') })).toBe('2')
  })

  test('no HOME is needed', async () => {
    using project = projectFolder(PLAIN)
    expect(await get(project.path, ['visits', 'u1'], { HOME: undefined, XDG_CACHE_HOME: undefined })).toBe('2')
  })

  test('--clock keeps its state apart and leaves the history alone', async () => {
    using project = projectFolder(PLAIN)
    expect(await get(project.path, ['visits', 'u1'])).toBe('2')
    const server = await startFabra({ cwd: project.path, file: 'features.ts', args: ['--clock', '2026-01-01T10:30:00Z'] })
    expect(await (await fetch(`${server.url}/v1/features/visits?entity_id=u1`)).json()).toMatchObject({ value: 1, served_from: 'computed' })
    expect(await server.stop()).toBe(0)
    const { stderr } = await runFabra(['get', 'visits', 'u1'], { cwd: project.path })
    expect(stderr).toStartWith('fresh, online')
  })
})
