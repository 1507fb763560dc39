import { expect, test } from 'bun:test'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { builtBinary, temporaryFolder } from '../support/binary.ts'
import { PATIENT } from '../support/patience.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'

const README = readFileSync(join(import.meta.dir, '../../README.md'), 'utf8')

test('what the README shows of the first sixty seconds happens, word for word', async () => {
  const folder = temporaryFolder()
  // As scripts/demo leaves the folder of the sources.
  mkdirSync(join(folder, 'dist'))
  symlinkSync(builtBinary(), join(folder, 'dist/fabra'))
  const section = README.slice(README.indexOf('## Sixty seconds'), README.indexOf('## Defining features'))
  const [start = '', ask = ''] = [...section.matchAll(/```console\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
  const commands = (text: string) => [...text.matchAll(/^\$ (.*)$/gm)].map((match) => match[1] ?? '')
  const port = await freePort()
  const here = (text: string) => text.replaceAll(':8000', `:${port}`)
  const { FABRA_API_KEYS, DATABASE_URL, REDIS_URL, ...inherited } = process.env
  const child = Bun.spawn(['sh', '-c', `set -e\n${commands(start).slice(0, -1).join('\n')}\nexec ${commands(start).at(-1)}`], {
    cwd: folder,
    env: { ...inherited, ...PATIENT, FABRA_PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const reading = (async () => {
    for await (const piece of child.stdout) said += new TextDecoder().decode(piece)
  })()
  try {
    await until('the curl line', 60_000, async () => (/Try it:\n.*\n/.test(said) ? true : undefined))
    const shown = here(start.replaceAll(/^\$ .*\n/gm, ''))
    // What the README leaves out is what to type next, which it types.
    expect(said.replace(/\nNext:\n(?: .*\n)+/, '')).toBe(shown)
    const answers = []
    for (const command of commands(here(ask))) {
      const { stdout } = Bun.spawnSync(['sh', '-c', `${command} --silent`])
      answers.push(JSON.parse(String(stdout)))
    }
    const documented = [...here(ask).matchAll(/^\{[\s\S]*?\}$/gm)].map((match) => JSON.parse(match[0]))
    expect(answers.map(({ served_from }) => served_from)).toEqual(documented.map(({ served_from }) => served_from))
    expect(answers.map((answer) => Object.keys(answer))).toEqual(documented.map((answer) => Object.keys(answer)))
    expect(answers[0].value).toBeGreaterThan(0)
  } finally {
    child.kill('SIGTERM')
    await child.exited
    await reading
    rmSync(folder, { recursive: true, force: true })
  }
  expect(existsSync(folder)).toBe(false)
})
