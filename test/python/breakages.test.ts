/** What a Python function does to itself costs its own callers alone: each is told what happened, the others do not notice, and work goes on. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { answered, type Bench, bench, errorOf } from '../runtime/project.ts'
import { pythonSettings } from '../support/python.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(120_000)

const fn = (name: string, body: string, kind = 'def') => `
@feature(entity=User, refresh=0)
${kind} ${name}(user_id: str) -> int:
${body.replace(/^/gm, '    ')}
`

const FEATURES = `
import asyncio, ctypes, os, re, sys, threading, time
from fabra import db, entity, feature

User = entity("User", key="user_id")
HERE = os.path.dirname(os.path.abspath(__file__))

def note(name, text):
    with open(os.path.join(HERE, name), "a") as file:
        file.write(text + "\\n")
${fn('quick', 'return len(user_id)')}
${fn('pid', 'return os.getpid()')}
${fn('held', 'note("held.txt", f"{user_id} {os.getpid()}")\nreturn db.fetchval("SELECT 1")')}
${fn('quits', 'os._exit(7)')}
${fn('leaves', 'sys.exit(3)')}
${fn('kills', 'os.kill(os.getpid(), 9)')}
${fn('crashes', 'ctypes.string_at(0)')}
${fn('closes', 'note("closes.txt", user_id)\nos.closerange(3, 4096)\nreturn 1')}
${fn('takes', 'own = open(os.path.join(HERE, "own.txt"), "w")\nos.dup2(own.fileno(), 3)\nreturn 1')}
${fn('forks', 'os.fork()\nnote("forks.txt", "1")\nreturn 1')}
${fn('prints', 'for _ in range(100_000):\n    print("x" * 99)\nreturn 1')}
${fn('shouts', 'os.write(1, b"from below\\n")\nos.write(1, b"y" * 10_000_000)\nreturn 1')}
${fn('eats', 'return len(bytearray(8 << 30))')}
${fn('grows', 'kept = []\nwhile True:\n    kept.append(bytearray(b"x") * (20 << 20))\n    time.sleep(0.02)')}
${fn('burns', 'note("burns.txt", user_id)\nwhile True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass')}
${fn('stuck_in_c', 're.match("(a+)+$", "a" * 40 + "b")')}
${fn('sleeps', 'time.sleep(600)')}
${fn('holds_loop', 'time.sleep(600)', 'async def')}
${fn('waits', 'await asyncio.sleep(600)', 'async def')}
${fn('turns', 'await asyncio.sleep(0)\nreturn 1', 'async def')}
`

let on: Bench
let release = () => {}
beforeAll(async () => {
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const query = async () => {
    await held
    return { columns: ['n'], rows: [[1]], sources: [] }
  }
  on = await bench({ 'features.py': FEATURES }, { entry: ['features.py'], workers: 2, query, python: pythonSettings({ memory: 2 ** 28 }) })
})
afterAll(() => on[Symbol.asyncDispose]())

const pidOf = async () => Number(answered(await on.ask('pid', ['u1'], { timeoutMs: 30_000 })))
const linesOf = (name: string) => readFileSync(on.project.path(name), 'utf8').trim().split('\n')
const logged = (text: string) => on.lines.filter((line) => JSON.stringify(line).includes(text))
const ask = async (feature: string, timeoutMs = 60_000) => errorOf(await on.ask(feature, ['u1'], { timeoutMs }))

/** Processes that answer. */
async function workers(count: number): Promise<number[]> {
  const pids = new Set<number>()
  return await until(`${count} workers`, 60_000, async () => {
    for (const pid of await Promise.all(Array.from({ length: 4 }, pidOf))) pids.add(pid)
    return pids.size >= count ? [...pids] : undefined
  })
}

test('kill -9 of a worker under 32 callers fails its calls alone, and another takes its place', async () => {
  const before = await workers(2)
  const keys = Array.from({ length: 32 }, (_, i) => [`u${i}`])
  const answers = Promise.all(keys.map((key) => on.ask('held', key, { timeoutMs: 60_000 })))
  const placed = await until('32 calls to run', 60_000, async () => {
    const lines = (await Bun.file(on.project.path('held.txt')).exists()) ? linesOf('held.txt') : []
    return lines.length >= 32 ? new Map(lines.map((line) => line.split(' ') as [string, string])) : undefined
  })
  const victim = before[0] ?? 0
  process.kill(victim, 'SIGKILL')
  await until('its calls to fail', 60_000, async () => (logged('SIGKILL').length > 0 ? true : undefined))
  release()
  for (const [i, answer] of (await answers).entries()) {
    if (placed.get(`u${i}`) !== String(victim)) expect(answered(answer)).toBe(1)
    else expect(errorOf(answer)).toMatchObject({ code: 'feature_failed', message: expect.stringContaining('killed by signal 9 (SIGKILL)') })
  }
  expect([...placed.values()].filter((pid) => pid === String(victim)).length).toBeGreaterThan(0)
  expect(placed.size).toBe(32)
  const after = await workers(2)
  expect(after).not.toContain(victim)
  // Who is not to blame goes on with all workers.
  expect(logged('runs apart')).toEqual([])
})

describe('a function that', () => {
  test.each([
    ['quits', 'os._exit(7)'],
    ['kills', 'killed by signal 9 (SIGKILL)'],
    ['crashes', 'killed by signal 11 (SIGSEGV)'],
    ['closes', 'as os.closerange() does'],
    ['takes', 'was closed from inside'],
    ['grows', 'FABRA_WORKER_MEMORY is 256 MiB'],
  ])('%s takes its process along: its caller is told "%s", and others go on', async (name, words) => {
    const { code, message } = await ask(name)
    expect([code, message]).toEqual(['feature_failed', expect.stringContaining(words)])
    expect(answered(await on.ask('quick', ['abc'], { timeoutMs: 60_000 }))).toBe(3)
  })

  test('closes its descriptors is run once, and nothing of ours gets into a file that has their number', () => {
    expect(linesOf('closes.txt')).toEqual(['u1'])
    expect(readFileSync(on.project.path('own.txt'), 'utf8')).toBe('')
  })

  test('leaves by sys.exit, or wants 8 GB, fails alone: its process lives', async () => {
    const before = (await workers(2)).sort()
    expect((await ask('leaves')).code).toBe('feature_failed')
    expect((await ask('eats')).message).toContain('memory')
    expect((await workers(2)).sort()).toEqual(before)
    expect(logged('SystemExit: 3').length).toBe(1)
  })

  test('forks is answered, and its child ends in silence', async () => {
    expect(answered(await on.ask('forks', ['u1']))).toBe(1)
    await until('both to have run', 60_000, async () => (linesOf('forks.txt').length === 2 ? true : undefined))
    expect(answered(await on.ask('quick', ['abcd']))).toBe(4)
  })

  test.each(['prints', 'shouts'])('%s 10 MB is answered, and the log keeps the beginning', async (name) => {
    on.lines.length = 0
    expect(answered(await on.ask(name, ['u1'], { timeoutMs: 60_000 }))).toBe(1)
    const letters = () => on.lines.reduce((sum, line) => sum + line.message.length, 0)
    await until('the log', 60_000, async () => (letters() > 100_000 ? true : undefined))
    expect(letters()).toBeLessThan(2_000_000)
  })
})

describe('a function that does not end', () => {
  test.each([
    ['burns', true],
    ['stuck_in_c', true],
    ['sleeps', false],
    ['holds_loop', true],
    ['waits', false],
  ])('%s costs its caller alone, and the log names the line that it was at', async (name, isApart) => {
    on.lines.length = 0
    const stuck = on.ask(name, ['u1'], { timeoutMs: 3_000 })
    const others = await Promise.all(['quick', 'turns', 'quick', 'turns'].map((one) => on.ask(one, ['abc'], { timeoutMs: 60_000 })))
    expect(others.map(answered)).toEqual([3, 1, 3, 1])
    expect(errorOf(await stuck).code).toBe('feature_timeout')
    // A machine that is busy with other things may not tell in time where it was, nor give the evidence without which nobody is accused.
    const untilLogged = (what: string, isLogged: () => boolean) =>
      until(what, 60_000, async () => {
        if (isLogged()) return true
        await on.ask(name, ['u1'], { timeoutMs: 3_000 })
        return undefined
      })
    const places = () => logged(` in ${name}.`).map((line) => line.fields['error'])
    if (name !== 'waits') {
      await untilLogged('its place', () => places().length > 0)
      for (const place of places()) expect(place).toMatch(/features\.py:\d+ in /)
    }
    // One that only waits blocks nobody.
    if (isApart) await untilLogged('it to run apart', () => logged(`"${name}"`).some((line) => line.message.includes('apart')))
    else expect(logged('apart')).toEqual([])
    expect(answered(await on.ask('turns', ['abc'], { timeoutMs: 60_000 }))).toBe(1)
  })
})
