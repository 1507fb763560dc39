/** What a features file may do to its own thread and not to the process: the server is afterwards what it was, and says what was refused. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, readlinkSync } from 'node:fs'
import { type RunningFabra, runFabra, startFabra } from '../support/binary.ts'
import { HEAD, type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

/** Name → what it does, and what it is called in the refusal. */
const EFFECTS: Readonly<Record<string, readonly [code: string, called: string]>> = {
  chdir: [`() => process.chdir('/')`, 'process.chdir()'],
  chdir_by_name: [`() => chdir('/')`, 'process.chdir()'],
  chdir_required: [`() => require('process').chdir('/')`, 'process.chdir()'],
  chdir_later: [`async () => { await new Promise((r) => setTimeout(r, 5)); process.chdir('/') }`, 'process.chdir()'],
  umask: ['() => process.umask(0o777)', 'process.umask()'],
  umask_by_name: ['() => umask(0)', 'process.umask()'],
  setuid: ['() => process.setuid(65534)', 'process.setuid()'],
  setgid: ['() => process.setgid(65534)', 'process.setgid()'],
  seteuid: ['() => process.seteuid(65534)', 'process.seteuid()'],
  setgroups: ['() => process.setgroups([65534])', 'process.setgroups()'],
  title: [`() => { process.title = 'mine'; return 1 }`, 'process.title ='],
  exit: ['() => process.exit(0)', 'process.exit()'],
  exit_by_name: ['() => exit(0)', 'process.exit()'],
  abort: ['() => process.abort()', 'process.abort()'],
  kill_self: ['() => process.kill(process.pid)', 'process.kill()'],
  kill_group: ['() => process.kill(0)', 'process.kill()'],
  kill_parent: ['() => process.kill(process.ppid)', 'process.kill()'],
  execve: [`() => process.execve('/bin/true', ['true'], {})`, 'process.execve()'],
  post: [`() => postMessage('garbage')`, 'postMessage()'],
  close: ['() => self.close()', 'close()'],
  listeners: ['() => process.removeAllListeners()', 'process.removeAllListeners()'],
  prompt: [`() => prompt('name?')`, 'prompt()'],
}

/** Left alone, and of no effect on anybody else. */
const HARMLESS: Readonly<Record<string, readonly [code: string, value: unknown]>> = {
  reads_umask: ['() => process.umask()', 0o022],
  reads_cwd: ['() => process.cwd() === new URL(".", import.meta.url).pathname.slice(0, -1) ? 1 : 0', 1],
  sets_environment: [`() => { process.env.FABRA_PORT = '1'; process.env.TZ = 'Asia/Tokyo'; return 1 }`, 1],
  sets_exit_code: ['() => { process.exitCode = 9; return 1 }', 1],
  listens: [`() => { process.on('SIGTERM', () => {}); process.once('SIGHUP', () => {}); return 1 }`, 1],
  writes: [`() => { console.write('by console.write'); process.stdout.end('x'); process.stderr.destroy(); return 1 }`, 1],
  posts_by_port: [`() => { parentPort.postMessage('garbage'); parentPort.postMessage([7, null, {}]); return 1 }`, 1],
  good: ['() => 42', 42],
}

let project: ProjectFolder
let server: RunningFabra
beforeAll(async () => {
  const define = ([name, [code]]: readonly [string, readonly [string, unknown]]) =>
    `export const does_${name} = feature({ entity: User, refresh: 0, type: 'int' }, ${code})\n`
  const imports = `import { chdir, umask, exit } from 'node:process'\nimport { parentPort } from 'node:worker_threads'\n`
  const definitions = [...Object.entries(EFFECTS), ...Object.entries(HARMLESS)].map(define).join('')
  project = projectFolder({
    'features.ts': imports + HEAD + definitions,
    'events.csv': 'id,user_id,amount,created_at\n1,u1,1,2026-01-01\n',
  })
  server = await startFabra({ cwd: project.path, file: 'features.ts' })
})
afterAll(async () => {
  await server?.stop()
  project?.[Symbol.dispose]()
})

async function ask(feature: string) {
  const response = await fetch(`${server.url}/v1/features/${feature}?entity_id=u1`)
  return {
    status: response.status,
    body: (await response.json()) as { value?: unknown; error?: { code: string; message: string; hint: string } },
  }
}

/** What the whole process has. */
function processFacts() {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  const fact = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]
  const stat = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')
  return {
    cwd: readlinkSync(`/proc/${server.pid}/cwd`),
    facts: ['Name', 'Umask', 'Uid', 'Gid', 'Groups', 'SigCgt', 'SigIgn'].map(fact),
    nice: stat?.[16],
    command: readFileSync(`/proc/${server.pid}/cmdline`, 'utf8'),
  }
}

describe('refused, by its name, with what to do, and without effect:', () => {
  for (const [feature, [, called]] of Object.entries(EFFECTS)) {
    test(feature, async () => {
      const before = processFacts()
      const { status, body } = await ask(`does_${feature}`)
      expect([status, body.error?.code]).toEqual([502, 'feature_failed'])
      expect(body.error?.message).toContain(`feature "does_${feature}"`)
      expect(body.error?.message).toContain(`${called}`)
      expect(body.error?.message).toContain('is refused')
      expect(body.error?.hint).toMatch(/\.$/)
      expect(JSON.stringify(body)).not.toContain('features.ts')
      expect(processFacts()).toEqual(before)
      expect((await ask('does_good')).body.value).toBe(42)
    })
  }
})

describe('left alone:', () => {
  for (const [feature, [, value]] of Object.entries(HARMLESS)) {
    test(feature, async () => {
      const before = processFacts()
      expect((await ask(`does_${feature}`)).body.value).toEqual(value as number)
      expect(processFacts()).toEqual(before)
    })
  }

  test('a listener for a signal is told of in the log, once', async () => {
    await until('the log', 10_000, async () => (server.stderr().includes('listens for SIGTERM') ? true : undefined))
    expect(server.stderr().match(/listens for SIGTERM/g)?.length).toBe(1)
  })
})

test('at the top level of the file it is a problem of the file, with its line', async () => {
  using other = projectFolder({ 'features.ts': `process.chdir('/')\n${HEAD}`, 'events.csv': 'id,user_id,created_at\n' })
  const { exitCode, stdout, stderr } = await runFabra(['check'], { cwd: other.path })
  expect(exitCode).toBe(1)
  expect(stdout + stderr).toContain('features.ts:1')
  expect(stdout + stderr).toContain('process.chdir() was called')
})

test('after all of it the server ends in order', async () => {
  expect(await server.stop()).toBe(0)
})
