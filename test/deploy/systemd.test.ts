/** The unit as systemd itself reads it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../support/binary.ts'
import { deployOptions, fileOf, optionsToTry, platformOf } from './options.ts'

const platform = platformOf('systemd')

describe('the systemd unit', () => {
  let folder = ''
  beforeAll(() => {
    folder = temporaryFolder()
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** It must be silent: for unknown keys systemd-analyze says something and still exits with 0. */
  const verify = (texts: readonly string[]) => {
    const paths = texts.map((text, i) => {
      const path = join(folder, String(i), 'my-features.service')
      mkdirSync(join(path, '..'), { recursive: true })
      // The program is not installed on a machine that only builds.
      writeFileSync(path, text.replace('ExecStart=/usr/local/bin/fabra', 'ExecStart=/bin/true'))
      return path
    })
    return paths.map((path) => {
      const { exitCode, stdout, stderr } = Bun.spawnSync(['systemd-analyze', 'verify', '--man=no', path], {
        env: { ...process.env, SYSTEMD_LOG_LEVEL: 'warning' },
      })
      return { exitCode, said: `${stdout}${stderr}` }
    })
  }

  test('is taken without a word, whatever the options', () => {
    for (const result of verify(optionsToTry(platform).map((options) => fileOf(platform, options, `${options.name}.service`))))
      expect(result).toEqual({ exitCode: 0, said: '' })
  })

  test('the check goes red for an unknown key', () => {
    const text = fileOf(platform, deployOptions(platform), 'my-features.service')
    expect(verify([text.replace('ProtectHome=', 'ProtectHomes=')])[0]?.said).toContain('ProtectHomes')
  })
})
