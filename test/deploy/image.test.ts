import { describe, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { validate } from 'dockerfile-utils'
import { platforms } from '../../src/deploy/platforms.ts'
import { temporaryFolder } from '../support/binary.ts'
import { deployOptions, fileOf, optionsToTry, PYTHON, platformOf } from './options.ts'

const fly = platformOf('fly')

describe('the Dockerfile', () => {
  test('passes the linter of the Dockerfile language server, whatever the options', () => {
    for (const platform of platforms.filter((one) => one.needsImage))
      for (const options of optionsToTry(platform)) expect(validate(fileOf(platform, options, 'Dockerfile'))).toEqual([])
  })

  test('is the same for every platform that has no needs of its own', () => {
    const texts = ['fly', 'cloudrun', 'render', 'railway', 'docker'].map((name) =>
      fileOf(platformOf(name), deployOptions(platformOf(name)), 'Dockerfile'),
    )
    expect(new Set(texts).size).toBe(1)
  })

  test('never runs the server as root, and checks its health without a shell', () => {
    for (const options of optionsToTry(fly)) {
      const lines = fileOf(fly, options, 'Dockerfile').split('\n')
      expect(lines.filter((line) => line.startsWith('USER ')).at(-1)).toBe('USER 65532:65532')
      expect(lines.find((line) => line.startsWith('HEALTHCHECK'))).toEndWith('CMD ["/usr/local/bin/fabra", "healthcheck"]')
      expect(lines.filter((line) => /^(ENTRYPOINT|CMD|RUN) /.test(line) && !/^\w+ \[.*\]$/.test(line))).toEqual([])
    }
  })

  test('copies what it is told to and nothing else', () => {
    const options = deployOptions(fly, {
      project: { files: ['features.ts', 'a b.ts', 'lib/x.ts', 'lib/y.ts', 'lib/[z].ts'], folders: ['data/events'] },
    })
    const copies = fileOf(fly, options, 'Dockerfile')
      .split('\n')
      .filter((line) => line.startsWith('COPY'))
    expect(copies).toEqual([
      'COPY --chown=65532:65532 ["features.ts", "a b.ts", "./"]',
      'COPY --chown=65532:65532 ["lib/x.ts", "lib/y.ts", "lib/[[]z].ts", "./lib/"]',
      'COPY --chown=65532:65532 ["data/events", "./data/events/"]',
    ])
  })

  test('takes the executable of a release only by its checksum, and no archive then', () => {
    const release = { url: 'https://releases.example/v1/fabra-v1.2.3-linux-x64.tar.gz', sha256: 'ab'.repeat(32) }
    const text = fileOf(fly, deployOptions(fly, { release }), 'Dockerfile')
    expect(text).toContain(`ADD ["${release.url}", "/tmp/fabra.tar.gz"]`)
    expect(text).toContain(`echo '${release.sha256}  /tmp/fabra.tar.gz' | sha256sum --check`)
    expect(text).toContain('COPY --from=executable ["/usr/local/bin/fabra", "/usr/local/bin/fabra"]')
    expect(text).not.toContain('fabra-linux-x64')
  })

  test('has the Python of the project where a definition is written in it, with the packages of requirements.txt but our own', () => {
    const { files } = fly.plan(deployOptions(fly, { definitions: ['features.py'], python: PYTHON }))
    const text = files.find((file) => file.path === 'Dockerfile')?.text ?? ''
    expect(text).toContain('FROM docker.io/library/python:3.13-slim-bookworm')
    expect(files.find((file) => file.path === 'requirements.txt')).toMatchObject({ ifMissing: true, text: 'pandas==2.2.3\n' })
    const folder = temporaryFolder()
    try {
      const path = join(folder, 'requirements.txt')
      const ours = [
        'fabra-ai',
        'fabra_ai[ui] >= 1 ; python_version > "3"',
        'Fabra.AI==0.1 \\\n  --hash=sha256:ab',
        'fabra',
        ' fabra @ https://a/b.whl',
      ]
      const others = ['fabrabatch==1', 'fabra-ai-tools', 'numpy==2 \\\n    --hash=sha256:cd', '# fabra-ai is in the executable']
      writeFileSync(path, `${[...ours, ...others].join('\n')}\n`)
      const sed = JSON.parse(/^RUN (\["sed".*\])$/m.exec(text)?.[1] ?? '[]') as string[]
      const done = Bun.spawnSync(
        sed.filter((word) => !word.endsWith('base.txt')).map((word) => (word.endsWith('requirements.txt') ? path : word)),
      )
      expect(done.exitCode).toBe(0)
      expect(readFileSync(path, 'utf8')).toBe(`${others.join('\n')}\n`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('.dockerignore', () => {
  test('keeps secrets out at any depth', () => {
    const lines = fileOf(fly, deployOptions(fly), '.dockerignore').split('\n')
    for (const secret of ['**/.env', '**/.env.*', '**/*.pem', '**/.git', '**/.npmrc', '**/.aws']) expect(lines).toContain(secret)
  })
})
