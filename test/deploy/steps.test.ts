import { describe, expect, test } from 'bun:test'
import { platforms } from '../../src/deploy/platforms.ts'
import { optionsToTry } from './options.ts'

describe('the commands to run next', () => {
  test('are understood by a shell as they are, whatever the options, and leave nothing to fill in', () => {
    for (const platform of platforms) {
      const commands = optionsToTry(platform).flatMap((options) => platform.plan(options).next.map((step) => step.command))
      const { exitCode, stderr } = Bun.spawnSync(['bash', '-n'], { stdin: new TextEncoder().encode(commands.join('\n')) })
      expect({ platform: platform.name, exitCode, stderr: stderr.toString() }).toEqual({ platform: platform.name, exitCode: 0, stderr: '' })
      for (const command of commands) expect(command).not.toMatch(/<[a-z]|YOUR|\.\.\./)
    }
  })
})
