import { describe, expect, test } from 'bun:test'
import { runCommand } from '../support/command.ts'

async function script(shell: string): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return runCommand(['completion', shell], {
    cwd: '/',
    env: {},
  })
}

describe('fabra completion', () => {
  test('bash offers commands, and the options of the one that is written', async () => {
    const { stdout } = await script('bash')
    const offers = (...words: string[]) => {
      const line = words.map((word) => `'${word}'`).join(' ')
      const ask = `${stdout}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _fabra; echo "\${COMPREPLY[*]}"`
      return Bun.spawnSync(['bash', '-c', ask]).stdout.toString().trim().split(' ')
    }
    expect(offers('fabra', 'se')).toEqual(['serve', 'setup'])
    expect(offers('fabra', 'deploy', '--re')).toEqual(['--region', '--replicas', '--release'])
    expect(offers('fabra', 'keys', '')).toContain('revoke')
    expect(offers('fabra', 'nonsense', 'x')).toEqual([''])
  })

  test('zsh and fish know every command and option', async () => {
    for (const shell of ['zsh', 'fish']) {
      const { exitCode, stdout } = await script(shell)
      expect(exitCode).toBe(0)
      for (const word of ['serve', 'deploy', 'revoke', 'dry-run']) expect(stdout).toContain(word)
    }
  })

  test('another shell is refused with the list', async () => {
    expect(await script('csh')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('bash, zsh, fish') })
  })
})
