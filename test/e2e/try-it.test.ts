import { expect, test } from 'bun:test'
import { runFabra, startFabra } from '../support/binary.ts'
import { HEAD, PLAIN, projectFolder, VISITS } from '../support/project-folder.ts'

/** What it prints after `Try it:`. */
function curlLine(stdout: string): string {
  return /curl .*/.exec(stdout)?.[0] ?? ''
}

test.each([
  ['a key that most rows lack', HEAD, ['', '', '', 'u1'], 'entity_id=u1'],
  ['no key at all', HEAD, ['', ''], 'entity_id=1'],
  ['keys that are no numbers', HEAD.replace("key: 'user_id'", "key: { user_id: 'int' }"), ['', '7', ''], 'entity_id=7'],
  ['a key that no shell and no address takes as it is', HEAD, ["o'hara & sons"], 'entity_id=o%27hara%20%26%20sons'],
  ['no uuid to show', HEAD.replace("key: 'user_id'", "key: { user_id: 'uuid' }"), [''], 'entity_id=00000000-0000-0000-0000-000000000000'],
])('the line to paste works where the data has %s', async (_, head, ids, query) => {
  const rows = ids.map((id, i) => `${i},${id},1,2026-01-01 10:00:0${i}\n`)
  using project = projectFolder({ 'features.ts': head + VISITS, 'events.csv': `id,user_id,amount,created_at\n${rows.join('')}` })
  const server = await startFabra({ file: 'features.ts', cwd: project.path })
  try {
    const line = curlLine(server.stdout())
    expect(line).toContain(`/visits?${query}'`)
    const pasted = Bun.spawnSync(['sh', '-c', line])
    expect(JSON.parse(String(pasted.stdout))).toMatchObject({ feature: 'visits', status: 'fresh' })
  } finally {
    await server.stop()
  }
})

test('where a server believes in another present, both say whose answer it is', async () => {
  using project = projectFolder(PLAIN)
  const other = await startFabra({ file: 'features.ts', cwd: project.path, args: ['--clock', '2026-01-01T10:30:00Z'] })
  try {
    expect(other.stdout()).toMatch(/The present is 2026-01-01T10:30:\d\dZ, and runs on \(--clock\)/)
    const answer = (await (await fetch(`${other.url}/v1/features/visits?entity_id=u1`)).json()) as { value: number }
    expect(answer.value).toBe(1)
    for (const args of [['get', 'visits', 'u1'], ['list'], ['runs']]) {
      const { exitCode, stderr } = await runFabra(args, { cwd: project.path })
      expect({ args, exitCode, stderr }).toEqual({ args, exitCode: 0, stderr: expect.stringContaining('answered for the real present') })
      expect(stderr).toContain(`The server at ${other.url} takes 2026-01-01T10:3`)
    }
    expect((await runFabra(['get', 'visits', 'u1'], { cwd: project.path })).stdout).toBe('2\n')
  } finally {
    await other.stop()
  }
  expect((await runFabra(['get', 'visits', 'u1'], { cwd: project.path })).stderr).not.toContain('present')
})
