/** How workers' processes begin and end, and what crosses to them. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { createSlots, removeOldSlots } from '../../src/runtime/process/slots.ts'
import { createMessageReader, frameText, packMessage } from '../../src/runtime/process/wire.ts'
import { answered, bench, errorOf, loadOnce, project } from '../runtime/project.ts'
import { temporaryFolder } from '../support/binary.ts'
import { pythonSettings } from '../support/python.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(120_000)

const root = temporaryFolder()
afterAll(() => rmSync(root, { recursive: true, force: true }))

const FILE = `
import atexit, os, sys, time
from fabra import entity, feature
User = entity("User", key="user_id")

@feature(entity=User, refresh=0)
def seen(user_id: str) -> dict:
    return {"pid": os.getpid(), "group": os.getpgid(0), "variable": os.environ.get(user_id)}
`

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const gone = (pid: number) => until(`process ${pid} to end`, 60_000, async () => (isAlive(pid) ? undefined : true))

test('messages are put together from whatever pieces arrive, and whole numbers are exact', () => {
  const frames = [
    { t: 'a', n: 9007199254740993n, deep: [{ x: -(2n ** 70n) }] },
    { t: 'b', text: 'é\u2028"\\\u{1f600}' },
    { t: 'c', f: 1e300 },
  ]
  const messages = [frames, [{ t: 'long', text: 'x'.repeat(100_000) }], [], frames]
  const bytes = Buffer.concat(messages.map((one) => packMessage(one.map((frame) => frameText(frame, false)))))
  for (const size of [1, 3, 4, 5, 1000, 65_536, bytes.length]) {
    const taken: unknown[] = []
    const read = createMessageReader((some) => taken.push(some))
    for (let at = 0; at < bytes.length; at += size) {
      // A socket uses its buffer again.
      const piece = new Uint8Array(bytes.subarray(at, at + size))
      read(piece)
      piece.fill(0)
    }
    expect(taken).toEqual(messages)
  }
  expect(() => createMessageReader(() => {})(new Uint8Array([255, 255, 255, 255]))).toThrow('was announced')
})

test('a process ends with the server: by itself when the server is killed', async () => {
  using on = project({ 'features.py': FILE })
  const script = join(root, 'server.ts')
  const source = join(import.meta.dir, '../../')
  await Bun.write(
    script,
    `import { createRuntime } from '${source}src/runtime/runtime.ts'
    import { pythonSettings } from '${source}test/support/python.ts'
    const runtime = createRuntime({ files: [process.argv[2]], workers: 1, log: () => {}, python: pythonSettings() })
    const loaded = await runtime.load()
    loaded.activate()
    const call = { key: ['u1'], inputs: null, asOf: 0, mode: 'present', deadlineAt: Infinity, signal: new AbortController().signal, host: {} }
    const { texts } = await runtime.call({ feature: 'seen', fingerprint: loaded.registry.features.get('seen').fingerprint, ...call })
    console.log(texts[0])
    setInterval(() => {}, 1000)`,
  )
  const server = Bun.spawn([process.execPath, script, on.path('features.py')], { stdout: 'pipe' })
  const reader = server.stdout.getReader()
  const { pid, group } = JSON.parse(new TextDecoder().decode((await reader.read()).value))
  expect([isAlive(pid), group]).toEqual([true, pid])
  server.kill('SIGKILL')
  await gone(pid)
})

test('what is registered for its end runs, and one that takes for ever is not waited for', async () => {
  const atExit = `${FILE}
def last():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "last.txt"), "w") as file:
        file.write("done")
    time.sleep(600)
atexit.register(last)
`
  const on = await bench(
    { 'features.py': atExit },
    { entry: ['features.py'], workers: 1, python: pythonSettings({ workerEnv: { PATH: process.env['PATH'], LEFT: 'here' } }) },
  )
  const { pid, variable } = answered(await on.ask('seen', ['LEFT'], { timeoutMs: 60_000 })) as { pid: number; variable: string }
  expect(variable).toBe('here')
  expect(answered(await on.ask('seen', ['HOME']))).toMatchObject({ variable: null })
  await on.runtime.close()
  expect(await Bun.file(on.project.path('last.txt')).text()).toBe('done')
  expect(isAlive(pid)).toBe(false)
  on.project[Symbol.dispose]()
})

describe('a file that ends the process while it is loaded is a problem that says how:', () => {
  test.each([
    ['import os; os._exit(3)', /^loading it ended the process: os\._exit\(3\)\./],
    ['import os; os.write(2, b"the last words\\n"); os.abort()', /killed by signal 6 \(SIGABRT\); it said: the last words\./],
    [
      'import time; kept = bytearray(b"x") * (400 << 20); time.sleep(600)',
      /it used [\d.]+ MiB of memory, FABRA_WORKER_MEMORY is 256 MiB\. Raise FABRA_WORKER_MEMORY/,
    ],
  ])('%s', async (line, words) => {
    const { problems } = await loadOnce(
      { 'features.py': `${line}\n` },
      { entry: ['features.py'], python: pythonSettings({ memory: 2 ** 28 }) },
    )
    expect(problems).toEqual([{ at: 'features.py:1', says: expect.stringMatching(words) }])
  })
})

test('a file that does not come to its end is a problem that names the line', async () => {
  const file = 'import time\n\ndef wait():\n    time.sleep(600)\n\nwait()\n'
  const { problems } = await loadOnce({ 'features.py': file }, { entry: ['features.py'], python: pythonSettings(), loadTimeoutMs: 15_000 })
  expect(problems).toEqual([
    { at: 'features.py:1', says: expect.stringContaining('did not finish within 15 s; it was at features.py:4 in wait.') },
  ])
})

test('features that end their process together are found out, and run apart from others', async () => {
  const file = `${FILE}
@feature(entity=User, refresh=0)
def quits(user_id: str) -> int:
    time.sleep(0.2)
    os._exit(7)

@feature(entity=User, refresh=0)
def works(user_id: str) -> int:
    time.sleep(0.1)
    return 1
`
  await using on = await bench({ 'features.py': file }, { entry: ['features.py'], workers: 1, python: pythonSettings() })
  const apart = () => on.lines.filter((line) => line.message.includes('apart')).map((line) => line.fields['feature'])
  await until('it to be found out', 60_000, async () => {
    const beside = Array.from({ length: 4 }, () => on.ask('works', ['u1'], { timeoutMs: 60_000 }))
    expect(errorOf(await on.ask('quits', ['u1'], { timeoutMs: 60_000 })).message).toContain('os._exit(7)')
    await Promise.all(beside)
    return apart().includes('quits') ? true : undefined
  })
  const others = Promise.all(Array.from({ length: 8 }, () => on.ask('seen', ['HOME'], { timeoutMs: 60_000 })))
  expect(errorOf(await on.ask('quits', ['u1'], { timeoutMs: 60_000 })).code).toBe('feature_failed')
  expect((await others).map((one) => one.kind)).toEqual(Array.from({ length: 8 }, () => 'value'))
  // Its new process is still loading when the time is over: it is not asked where it is, which would end it.
  expect(errorOf(await on.ask('quits', ['u1'], { timeoutMs: 10 })).code).toBe('feature_timeout')
  expect(errorOf(await on.ask('quits', ['u1'], { timeoutMs: 60_000 })).message).toContain('os._exit(7)')
  expect(JSON.stringify(on.lines)).not.toContain('SIGUSR1')
})

test('the process of features in quarantine is none of those that others may count on', async () => {
  const file = `${FILE}
@feature(entity=User, refresh=0)
def quits(user_id: str) -> int:
    if user_id == "quit": os._exit(7)
    return os.getpid()
`
  await using on = await bench({ 'features.py': file }, { entry: ['features.py'], workers: 2, python: pythonSettings() })
  const seen = async () => Number((answered(await on.ask('seen', ['HOME'], { timeoutMs: 60_000 })) as { pid: unknown }).pid)
  const two = (besides: number) =>
    until('two processes', 60_000, async () => {
      const pids = new Set(await Promise.all(Array.from({ length: 8 }, seen)))
      pids.delete(besides)
      return pids.size >= 2 ? [...pids] : undefined
    })
  await two(0)
  expect(errorOf(await on.ask('quits', ['quit'], { timeoutMs: 60_000 })).message).toContain('os._exit(7)')
  const apart = Number(answered(await on.ask('quits', ['u1'], { timeoutMs: 60_000 })))
  const [one] = await two(apart)
  process.kill(one ?? 0, 'SIGKILL')
  expect(await two(one ?? 0)).not.toContain(apart)
})

test('what a killed server left in memory for a worker that was starting is removed by a later one', () => {
  const slots = createSlots()
  const hours = (before: number) => new Date(Date.now() - before * 3_600_000)
  utimesSync(slots.path, hours(2), hours(2))
  removeOldSlots()
  expect([existsSync(slots.path), existsSync(slots.stacksPath)]).toEqual([false, true])
  slots.unlink()
  expect(existsSync(slots.stacksPath)).toBe(false)
})

test('a worker that is being replaced is still watched: what blocks it then costs its own caller alone', async () => {
  const file = `${FILE}
import re
@feature(entity=User, refresh=0)
def burns(user_id: str) -> int:
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

@feature(entity=User, refresh=0)
def holds_lock(user_id: str) -> int:
    open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "held"), "w").close()
    return len(re.match("(a+)+$", "a" * 40 + "b").group())

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "loads"), "a") as loads:
    loads.write("x")
# Long enough for calls to come meanwhile, and shorter than a silence that counts.
time.sleep(0.2)
`
  await using on = await bench({ 'features.py': file }, { entry: ['features.py'], workers: 1, python: pythonSettings() })
  expect(errorOf(await on.ask('burns', ['u1'], { timeoutMs: 300 })).code).toBe('feature_timeout')
  await until('another to load', 60_000, async () =>
    (await Bun.file(on.project.path('loads')).text()).startsWith('xx') ? true : undefined,
  )
  const stuck = on.ask('holds_lock', ['u1'], { timeoutMs: 40_000 })
  await until('the lock to be held', 60_000, async () => ((await Bun.file(on.project.path('held')).exists()) ? true : undefined))
  const others = await on.askMany(
    'seen',
    ['HOME', 'PATH', 'LANG'].map((name) => [name]),
    { timeoutMs: 30_000 },
  )
  expect(others.map((one) => one.kind)).toEqual(['value', 'value', 'value'])
  // Its caller would wait for longer than the test does.
  void stuck
})

test('a server that hides itself is closed to debuggers and leaves no core', () => {
  const hide = join(import.meta.dir, '../../src/runtime/process/hide-process.ts')
  const code = `import { dlopen } from 'bun:ffi'; import { hideProcess } from '${hide}'
    const { symbols } = dlopen('libc.so.6', { prctl: { args: ['int', 'u64', 'u64', 'u64', 'u64'], returns: 'int' } })
    const dumpable = () => symbols.prctl(3, 0n, 0n, 0n, 0n)
    console.log(dumpable(), hideProcess(), dumpable())`
  const { stdout } = Bun.spawnSync([process.execPath, '-e', code])
  expect(stdout.toString().trim()).toBe(process.platform === 'linux' ? '1 true 0' : '')
})
