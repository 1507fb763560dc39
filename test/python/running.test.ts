import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { temporaryFolder } from '../support/binary.ts'
import { until } from '../support/until.ts'
import { type CallOptions, type Frame, type Guest, type Json, someInterpreters, startGuest } from './guest.ts'

setDefaultTimeout(120_000)

const FEATURES = `
import asyncio, atexit, logging, os, socket, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from fabra import as_of, db, entity, feature, get, log, pushed

User = entity("User", key="user_id")
Pair = entity("Pair", key={"user_id": int, "shop": str})
score = pushed(entity=User, type=float)
parts = feature(entity=User, refresh="5m", columns={"total": float}, sql="SELECT 1 AS total")
realtime = feature(entity=User, refresh=0)
shared = ThreadPoolExecutor(1)
outliving = threading.Event()
HERE = os.path.dirname(os.path.abspath(__file__))
atexit.register(lambda: open(os.path.join(HERE, "ended"), "w").close())

@realtime
def plain(user_id):
    return user_id

@feature(entity=Pair, refresh=0, inputs={"amount": float})
def pair(shop: str, user_id: int, amount: float) -> dict:
    return {"shop": shop, "user": user_id, "amount": amount, "kind": type(amount).__name__}

@dataclass
class Answer:
    a: int
    b: "list[str]"

VALUES = {
    "nan": lambda: float("nan"), "lambda": lambda: (lambda: 1), "generator": lambda: (n for n in range(3)), "set": lambda: {1},
    "coroutine": lambda: asyncio.sleep(0), "bytes": lambda: b"x", "surrogate": lambda: "\\ud800", "naive": lambda: datetime(2024, 1, 1),
    "aware": lambda: datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "keys": lambda: {1: 2}, "none": lambda: None,
    "dataclass": lambda: Answer(1, ["x"]), "decimal": lambda: {"d": Decimal("1.10")}, "tuple": lambda: (1, "a"),
    "long": lambda: [2 ** 70, 1e16], "large": lambda: "x" * 70_000, "deep": lambda: eval("[" * 40 + "]" * 40),
}

@realtime
def value(user_id):
    return VALUES[user_id]()

@realtime
def whole(user_id) -> int:
    return {"bool": True, "float": 1.0, "text": "1", "long": 2 ** 63, "fine": 2 ** 63 - 1, "decimal": Decimal("5")}[user_id]

@feature(entity=User, refresh=0, nan="null")
def lenient(user_id) -> float:
    return float("inf")

@feature(entity=User, refresh=0, columns={"a": int, "b": str})
def two(user_id):
    return {"u": {"a": 1, "b": "x"}, "v": {"a": 1}, "w": {"a": 1, "b": "x", "c": 3}}[user_id]

@realtime
def cells(user_id):
    row = db.fetchrow("SELECT", datetime(2024, 1, 1, tzinfo=timezone.utc), Decimal("1.10"), [1, None])
    return {name: type(part).__name__ for name, part in row.items()}

@realtime
def rows(user_id):
    return [db.query("a")[0]["n"], db.fetch("b")[1]["n"], db.fetchval("c"), get(score), get(parts["total"]), get("other"), as_of()]

@realtime
async def ways(user_id):
    def ask():
        return db.fetchval("thread")
    async def step():
        return await db.fetchval("task")
    def thread(found):
        found.append(ask())
    found = []
    started = threading.Thread(target=thread, args=(found,)); started.start()
    await asyncio.get_running_loop().run_in_executor(None, started.join)
    loop = asyncio.get_running_loop()
    found += await asyncio.gather(step(), step(), loop.run_in_executor(None, ask), loop.run_in_executor(shared, ask), asyncio.to_thread(ask))
    return found + [await db.fetchval("own")]

@realtime
def pooled(user_id):
    return shared.submit(lambda: db.fetchval("pool")).result()

@realtime
async def unawaited(user_id):
    if user_id == "gather": return await asyncio.gather(db.fetchval("a"), get(score), asyncio.wait_for(db.fetchval("b"), 60))
    if user_id == "never":
        db.query("x")
        return 1
    return {"len": lambda: len(db.query("x")), "index": lambda: db.query("x")[0], "sum": lambda: get(score) + 1, "self": lambda: db.query("x")}[user_id]()

@realtime
def waits(user_id):
    return get(score)

@realtime
def burns(user_id):
    while True:
        pass

@realtime
async def sleeps(user_id):
    try:
        await asyncio.sleep(1000)
    finally:
        log.info("cleaned", who=user_id)

@realtime
async def holds_up(user_id):
    while user_id != "quick" and not os.path.exists(os.path.join(HERE, "let go")): time.sleep(0.01)
    return user_id

@realtime
def leaves(user_id):
    if user_id == "exit": sys.exit(3)
    if user_id == "deep": return leaves(user_id)
    if user_id == "os": os._exit(7)
    if user_id == "print":
        print("x" * 10_000_000)
        return 1
    if user_id == "group":
        class Group(Exception): exceptions = (KeyError("first"), ValueError("second"))
        raise Group("2 tasks failed")
    if user_id == "fork": os.fork(); return os.getpid() == PID
    raise ValueError("of no use")

PID = os.getpid()

@realtime
async def exits(user_id):
    async def leave(): sys.exit(2)
    task = asyncio.create_task(leave())
    await asyncio.sleep(0.01)
    if user_id == "own": sys.exit(1)
    return "here"

@realtime
def starts(user_id):
    def late():
        outliving.wait()
        try:
            db.fetchval("late")
        except Exception as error:
            print("late:", error)
    threading.Thread(target=late).start()
    return 1

@realtime
def ends(user_id):
    outliving.set()
    return 1

@realtime
def prints(user_id):
    print("hello", user_id)
    print("to the end", end="")
    sys.stderr.write("bad\\n")
    log.warn("%s of %d", "one", 2, )
    log.info("scored", {"a": 1}, b=Decimal("1.5"))
    logging.getLogger("mine").warning("by logging")
    broken = threading.Thread(target=lambda: 1 / 0, name="broken"); broken.start(); broken.join()
    return 1

def look(user_id):
    if user_id == "file": return open(os.path.join(HERE, "features.py.data")).read()
    if user_id == "net": socket.create_connection(("127.0.0.1", 9))
    if user_id == "program": os.system("true")
    if user_id == "own": return open(os.__file__).read()[:3]
    return 1

@realtime
def looks(user_id):
    return look(user_id)

@feature(entity=User, refresh=0, replay=True)
def replayed(user_id):
    return look(user_id)

@feature(entity=User, refresh="1h", batch=True)
def many(user_ids: "list[str]") -> "list[float]":
    if user_ids[0] == "few": return [1.0]
    if user_ids[0] == "none": return None
    if user_ids[0] == "lazy": return (1.0 for _ in user_ids)
    return [ValueError("not this one") if key == "bad" else float("nan") if key == "nan" else len(key) + 0.5 for key in user_ids]

@feature(entity=Pair, refresh="1h", batch=10)
def pairs(user_ids, shops):
    return [f"{user + 1}{shop}" for user, shop in zip(user_ids, shops)]

@realtime
def eats(user_id):
    return len(bytearray(8_000_000_000))

@realtime
def holds(user_id):
    return sum(range(50_000_000))
`

/** Answers like a database with one row of one column. */
const one = (value: Json): CallOptions => ({ answer: () => ({ rows: { columns: ['n'], rows: [[value]] } }) })
const wrong = (message: string) => ({ texts: null, error: { code: 'wrong_type', message: expect.stringContaining(message) } })

describe.each(someInterpreters())('%s', (python) => {
  let guest: Guest
  let slots = ''
  let dump = ''
  beforeAll(async () => {
    const folder = temporaryFolder()
    slots = join(folder, 'slots')
    dump = join(folder, 'dump')
    writeFileSync(slots, Buffer.alloc(16_384))
    writeFileSync(join(folder, 'dump'), '')
    const limits = { memory: 1024 ** 3, threads: 32, maxThreads: 256, valueBytes: 65_536 }
    guest = await startGuest({ 'features.py': FEATURES, 'features.py.data': 'x' }, { python, frame: { slots, dump, limits } })
    expect(guest.loaded['problems']).toEqual([])
    expect(guest.loaded['drafts'].flatMap((draft: Frame) => draft['complaints'])).toEqual([])
  })
  afterAll(async () => {
    await guest[Symbol.asyncDispose]()
    rmSync(dirname(slots), { recursive: true, force: true })
  })

  test('keys, inputs and columns', async () => {
    expect(await guest.call('plain', ['ü'])).toMatchObject({ texts: ['"\\u00fc"'] })
    const answer = await guest.call('pair', ['7', 'x'], { inputs: { amount: 5 } })
    expect(JSON.parse(answer['texts'][0])).toEqual({ shop: 'x', user: 7, amount: 5, kind: 'float' })
    expect(await guest.call('two', ['u'])).toMatchObject({ texts: ['1', '"x"'] })
    expect(await guest.call('two', ['v'])).toMatchObject(wrong('has no "b"'))
    expect(await guest.call('two', ['w'])).toMatchObject(wrong('has "c", which is no column'))
  })

  test('values are exact, or refused with what they are', async () => {
    const refused = {
      nan: 'expected a number, got nan',
      lambda: 'the function <lambda>',
      generator: 'a generator',
      set: 'a set',
      coroutine: 'not awaited',
      bytes: 'a bytes',
      surrogate: 'lone surrogate',
      naive: 'without a time zone',
      keys: 'the whole number 1 as a key',
      deep: '32 levels',
    }
    for (const [name, message] of Object.entries(refused)) {
      const answer = await guest.call('value', [name])
      expect([name, answer]).toMatchObject([name, wrong(message)])
      expect(answer['error'].hint).toBeString()
    }
    expect(await guest.call('value', ['large'])).toMatchObject({ error: { code: 'value_too_large' } })
    const given = {
      aware: '"2024-01-01T00:00:00Z"',
      none: 'null',
      dataclass: '{"a":1,"b":["x"]}',
      decimal: '{"d":1.1}',
      tuple: '[1,"a"]',
      long: '[1180591620717411303424,1e+16]',
    }
    for (const [name, text] of Object.entries(given)) expect([name, (await guest.call('value', [name]))['texts']]).toEqual([name, [text]])
    for (const name of ['bool', 'float', 'text', 'long'])
      expect(await guest.call('whole', [name])).toMatchObject(wrong('expected int, got'))
    for (const [name, text] of [
      ['fine', '9223372036854775807'],
      ['decimal', '5'],
    ] as const)
      expect(await guest.call('whole', [name])).toMatchObject({ texts: [text] })
    expect(await guest.call('lenient', ['u'])).toMatchObject({ texts: ['null'] })
  })

  test('what the database gives and takes', async () => {
    const questions: Frame[] = []
    const columns = ['t', 'd', 'u', 'f', 'o', 'l', 'j']
    const row = [
      { $ts: 1 },
      { $dec: '1.10' },
      { $uuid: '12345678-1234-5678-1234-567812345678' },
      { $float: '3' },
      { $obj: { $ts: 1 } },
      [{ $ts: 1 }],
      { $json: '{"a":1}' },
    ]
    const answer = (question: Frame) => {
      questions.push(question)
      return { rows: { columns, rows: [row] } }
    }
    const kinds = JSON.parse((await guest.call('cells', ['u'], { answer }))['texts'][0])
    expect(kinds).toEqual({ t: 'datetime', d: 'Decimal', u: 'UUID', f: 'float', o: 'dict', l: 'list', j: 'dict' })
    expect(questions).toMatchObject([{ params: [{ $ts: 1_704_067_200_000_000 }, { $dec: '1.10' }, [1, null]] }])
    const reply = (question: Frame) =>
      question['kind'] === 'get'
        ? { part: { text: question['name'] === 'other' ? undefined : '5', eventAt: null } }
        : { rows: { columns: ['n'], rows: [[1], [2]] } }
    const rows = (await guest.call('rows', ['u'], { answer: reply, asOf: 1_500_000 }))['texts'][0]
    expect(rows).toBe('[1,2,1,5.0,5.0,null,"1970-01-01T00:00:01.500000Z"]')
    const failing = { answer: () => ({ error: { code: 'store_unavailable', message: 'Gone.', hint: 'Wait.' } }) }
    expect(await guest.call('rows', ['u'], failing)).toMatchObject({
      error: {
        code: 'store_unavailable',
        message: 'Gone.',
        hint: 'Wait.',
        thrown: expect.stringContaining('features.py") , line'.slice(0, 11)),
      },
    })
  })

  test('db follows the call into threads, executors and tasks', async () => {
    expect(await guest.call('ways', ['u'], one(1))).toMatchObject({ texts: ['[1,1,1,1,1,1,1]'] })
    expect(await guest.call('pooled', ['u'], one(2))).toMatchObject({ texts: ['2'] })
    await guest.call('starts', ['u'])
    await guest.call('ends', ['u'])
    const late = await guest.frame('what the thread says', (frame) => frame.t === 'log' && String(frame['message']).startsWith('late:'))
    expect(late['message']).toContain('The computation of "starts" has ended')
  })

  test('what is not awaited says so', async () => {
    for (const way of ['len', 'index', 'sum'])
      expect(await guest.call('unawaited', [way])).toMatchObject({
        error: { code: 'feature_failed', message: expect.stringContaining('used without await') },
      })
    expect(await guest.call('unawaited', ['self'])).toMatchObject(wrong('an answer that was not awaited'))
    const from = guest.frames.length
    expect(await guest.call('unawaited', ['never'])).toMatchObject({ texts: ['1'] })
    expect(guest.frames.slice(from)).toMatchObject([
      { t: 'log', level: 'warn', message: expect.stringContaining('never awaited') },
      { t: 'result' },
    ])
    const both = (question: Frame) =>
      question['kind'] === 'get' ? { part: { text: '5', eventAt: null } } : { rows: { columns: ['n'], rows: [[1]] } }
    expect(await guest.call('unawaited', ['gather'], { answer: both })).toMatchObject({ texts: ['[1,5.0,1]'] })
  })

  test('threads that wait do not keep others from running', async () => {
    const from = guest.frames.length
    const ids = Array.from({ length: 100 }, (_, i) => 10_000 + i)
    guest.send(...ids.map((id) => ({ t: 'call', id, feature: 'waits', key: ['u'], inputs: null, asOf: 0, mode: 'present' })))
    const asks = await until('every call asks', 60_000, async () => {
      const found = guest.frames.slice(from).filter((frame) => frame.t === 'ask')
      return found.length === ids.length ? found : undefined
    })
    guest.send(...asks.map((ask) => ({ t: 'answer', ask: ask['ask'], part: { text: '1', eventAt: null } })))
    for (const id of ids) await guest.frame(`result ${id}`, (frame) => frame.t === 'result' && frame['id'] === id, from)
  })

  test('a coroutine that holds up the loop keeps back no answer of the same turn', async () => {
    const from = guest.frames.length
    const call = (id: number, key: string) => ({ t: 'call', id, feature: 'holds_up', key: [key], inputs: null, asOf: 0, mode: 'present' })
    const answer = (id: number) => guest.frame(`the answer of ${id}`, (one) => one.t === 'result' && one['id'] === id, from)
    guest.send(call(30_001, 'quick'), call(30_002, 'slow'), call(30_003, 'quick'))
    expect(await answer(30_001)).toMatchObject({ texts: ['"quick"'] })
    writeFileSync(join(guest.folder, 'let go'), '')
    expect(await answer(30_002)).toMatchObject({ texts: ['"slow"'] })
    expect(await answer(30_003)).toMatchObject({ texts: ['"quick"'] })
  })

  test('a call that is cancelled ends, and is not answered', async () => {
    const words = new Int32Array(readFileSync(slots).buffer)
    expect(words[1024]).toBe(guest.pid)
    const running = () =>
      until('it runs', 60_000, async () => {
        const now = new Int32Array(new Uint8Array(readFileSync(slots)).buffer)
        const slot = Array.from({ length: 319 }, (_, i) => 1028 + 4 * i).find((at) => now[at + 1] === 20_000)
        return slot
      })
    guest.send({ t: 'call', id: 20_000, feature: 'burns', key: ['u'], inputs: null, asOf: 0, mode: 'present' })
    await running()
    guest.send({ t: 'cancel', id: 20_000 })
    await until('it has ended', 60_000, async () =>
      new Int32Array(new Uint8Array(readFileSync(slots)).buffer).subarray(1024).includes(20_000) ? undefined : true,
    )
    guest.send({ t: 'call', id: 20_001, feature: 'sleeps', key: ['u'], inputs: null, asOf: 0, mode: 'present' })
    guest.send({ t: 'ping' })
    await guest.frame('the loop beats', (frame) => frame.t === 'beat')
    await guest.frame('pong', (frame) => frame.t === 'pong')
    await guest.call('exits', ['x'])
    guest.send({ t: 'cancel', id: 20_001 })
    await guest.frame('its last words', (frame) => frame.t === 'log' && frame['id'] === 20_001 && frame['fields'].who === 'u')
    // A gate that was withdrawn.
    const withdrawn = Buffer.from(readFileSync(slots))
    withdrawn.writeInt32LE(3, 4 * 5)
    expect(await guest.call('plain', ['still here'])).toMatchObject({ texts: ['"still here"'] })
    expect(guest.frames.filter((frame) => frame.t === 'result' && [20_000, 20_001].includes(frame['id']))).toEqual([])
  })

  test('code that wants to end the process, or raises', async () => {
    const failed = (thrown: string) => ({ error: { code: 'feature_failed', thrown: expect.stringContaining(thrown) } })
    expect(await guest.call('leaves', ['exit'])).toMatchObject(failed('SystemExit: 3'))
    expect(await guest.call('leaves', ['deep'])).toMatchObject(failed('RecursionError'))
    expect(await guest.call('leaves', ['group'])).toMatchObject(failed("with\nKeyError: 'first'\nwith\nValueError: second"))
    const raised = await guest.call('leaves', ['raise'])
    expect(raised['error'].code).toBe('feature_failed')
    expect(raised['error'].thrown).toMatch(/^ValueError: of no use\n {2}File ".*features\.py", line \d+, in leaves/)
    expect(raised['error'].thrown).not.toContain('_worker.py')
    expect(await guest.call('exits', ['task'])).toMatchObject({ texts: ['"here"'] })
    expect(await guest.call('exits', ['own'])).toMatchObject(failed('SystemExit: 1'))
    expect(await guest.call('leaves', ['fork'])).toMatchObject({ texts: ['true'] })
    expect(await guest.call('plain', ['after'])).toMatchObject({ texts: ['"after"'] })
    expect(guest.frames.filter((frame) => frame.t === 'result' && frame['texts']?.[0] === 'false')).toEqual([])
    expect(await guest.call('eats', ['u'])).toMatchObject({
      error: { code: 'feature_failed', message: expect.stringContaining('memory'), shown: true },
    })
  })

  test('what it prints goes to the log, up to a limit', async () => {
    const from = guest.frames.length
    await guest.call('prints', ['u'])
    const logs = guest.frames.slice(from).filter((frame) => frame.t === 'log')
    expect(logs.map((frame) => [frame['level'], frame['message'], frame['fields']])).toEqual([
      ['info', 'hello u', {}],
      ['error', 'bad', {}],
      ['warn', 'one of 2', {}],
      ['info', 'scored', { a: 1, b: "Decimal('1.5')" }],
      ['warn', 'by logging', {}],
      ['error', expect.stringMatching(/^The thread broken ended: ZeroDivisionError: division by zero\n {2}File ".*features.py"/), {}],
      ['info', 'to the end', {}],
    ])
    const before = guest.frames.length
    await guest.call('leaves', ['print'])
    const many = guest.frames.slice(before).filter((frame) => frame.t === 'log')
    expect(many.reduce((sum, frame) => sum + frame['message'].length, 0)).toBeLessThan(300_000)
    expect(many.at(-1)).toMatchObject({ level: 'warn', message: expect.stringContaining('more characters') })
  })

  test('batches', async () => {
    const answer = await guest.call('many', [['a'], ['bad'], ['nan'], ['bcd']])
    expect(answer['elements']).toMatchObject([
      { texts: ['1.5'] },
      { error: { code: 'feature_failed', thrown: 'ValueError: not this one' } },
      { error: { code: 'wrong_type' } },
      { texts: ['3.5'] },
    ])
    expect(await guest.call('many', [['few'], ['x']])).toMatchObject(wrong('expected 2 values, one per key, got 1'))
    expect(await guest.call('many', [['none'], ['x']])).toMatchObject(wrong('expected a list of 2 values'))
    expect(await guest.call('many', [['lazy'], ['x']])).toMatchObject(wrong('a generator'))
    expect(
      await guest.call('pairs', [
        ['1', 'a'],
        ['2', 'b'],
      ]),
    ).toMatchObject({ elements: [{ texts: ['"2a"'] }, { texts: ['"3b"'] }] })
  })

  test('the past is not shown the present', async () => {
    const past = { mode: 'past' } as const
    expect(await guest.call('looks', ['file'])).toMatchObject({ texts: ['"x"'] })
    for (const [way, what] of [
      ['file', 'opens'],
      ['net', 'connects'],
      ['program', 'starts a program'],
    ] as const) {
      const refused = await guest.call('looks', [way], past)
      expect(refused['error'].message).toMatch(new RegExp(`${what}.* at features\\.py:\\d+`))
      expect(refused).toMatchObject({ error: { code: 'feature_failed', shown: true } })
    }
    expect(await guest.call('looks', ['own'], past)).toMatchObject({ texts: [expect.any(String)] })
    expect(await guest.call('replayed', ['file'], past)).toMatchObject({ texts: ['"x"'] })
    expect(await guest.call('looks', ['file'])).toMatchObject({ texts: ['"x"'] })
  })

  test('its stacks can be seen while C code runs, and it ends as it should', async () => {
    guest.send({ t: 'call', id: 30_000, feature: 'holds', key: ['u'], inputs: null, asOf: 0, mode: 'present' })
    await until('it runs', 60_000, async () =>
      new Int32Array(new Uint8Array(readFileSync(slots)).buffer).subarray(1024).includes(30_000) ? true : undefined,
    )
    process.kill(guest.pid, 'SIGUSR1')
    await until('its stacks', 60_000, async () => (readFileSync(dump, 'utf8').includes('in holds') ? true : undefined))
    expect(await guest.call('leaves', ['os']).catch((error: Error) => error.message)).toContain('ended before')
    expect(await guest.exited).toBe(7)
    expect(existsSync(join(guest.folder, 'ended'))).toBe(false)
  })
})
