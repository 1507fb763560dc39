import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { temporaryFolder } from '../support/binary.ts'
import { deployOptions, fileOf, platformOf } from './options.ts'

let folder = ''
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const FILES = ['features.ts', 'lib/money.ts', 'lib/deep/a [1] #!.ts', ' b.ts', 'models/a.bin']
const BESIDE = ['other.csv', 'lib/train.ipynb', 'lib/deep/x.ts', 'data/rows.csv', '.env', 'fly.toml', 'models/b.bin']

describe('what is sent to a platform that builds there is what the image is built from, by git itself', () => {
  test.each([
    ['cloudrun', 'service.yaml.gcloudignore'],
    ['railway', '.railwayignore'],
  ])('%s', (name, file) => {
    const platform = platformOf(name)
    for (const release of [null, { url: 'https://releases.example/fabra-v1-linux-x64.tar.gz', sha256: 'ab'.repeat(32) }]) {
      const options = deployOptions(platform, { release, project: { files: FILES, folders: ['data/events'] } })
      const built = ['Dockerfile', '.dockerignore', ...FILES, 'data/events/1.csv', 'data/events/p=1/2.csv']
      const archive = 'fabra-linux-x64.tar.gz'
      for (const path of [...built, ...BESIDE, archive]) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), '')
      }
      const list = join(folder, '..', `${name}.${process.pid}.list`)
      writeFileSync(list, fileOf(platform, options, file))
      Bun.spawnSync(['git', 'init', '--quiet', folder])
      const listed = Bun.spawnSync(['git', 'ls-files', '-z', '--others', `--exclude-from=${list}`], { cwd: folder })
      rmSync(list)
      const sent = listed.stdout.toString().split('\0').filter(Boolean).sort()
      expect(sent).toEqual([...built, ...(release === null ? [archive] : [])].sort())
    }
  })
})
