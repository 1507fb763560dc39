import { setDefaultTimeout } from 'bun:test'
import { functionRunnerSuite } from '../conformance/function-runner-suite.ts'
import { pythonSettings } from '../support/python.ts'
import { bench, HEAD } from './project.ts'

setDefaultTimeout(120_000)

const fn = (name: string, code: string, options = `type: 'json'`, entity = 'User') =>
  `export const ${name} = feature({ entity: ${entity}, refresh: 0, ${options} }, ${code})\n`

const TYPESCRIPT = `${HEAD}export const Pair = entity('Pair', { key: { user_id: 'int', shop: 'string' } })
let called = 0
${fn('whole', '() => 9007199254740993n', `type: 'int'`)}
${fn('floats', '() => [1, 0.1, 1e-7, 1e20, -0.5, 2 ** 60]', `type: 'list'`)}
${fn('truth', '() => true', `type: 'bool'`)}
${fn('text', String.raw`() => 'é"\\\u{1f600}'`, `type: 'string'`)}
${fn('nested', `() => ({ a: [1, null, { b: 'x' }], c: {} })`, `type: 'dict'`)}
${fn('columns', `() => ({ n: 1, t: 'x' })`, `columns: { n: 'int', t: 'string' }`)}
${fn('pair', '({ user_id, shop }) => [user_id, shop]', `type: 'list'`, 'Pair')}
${fn('doubled', '(id, { inputs }) => inputs.amount * 2', `type: 'float', inputs: { amount: 'float' }`)}
${fn('same', '(id, { inputs }) => inputs.any', `type: 'json', inputs: { any: 'json' }`)}
${fn('nothing', '() => null', `type: 'int'`)}
${fn('wrong', `() => 'x'`, `type: 'int'`)}
${fn('raises', `() => { throw new Error('boom') }`)}
${fn('rows', `async (id, { db }) => { const row = await db.fetchrow('SELECT 1', id, 7); return [row.a, row.b, row.c, await db.fetchval('SELECT none', id, 7) ?? null] }`)}
${fn('parts', `async (id, { get }) => [await get('spend.avg'), await get('none')]`)}
${fn('moment', '(id, { asOf }) => asOf.getTime()', `type: 'int'`)}
${fn('broken', `(id, { db }) => db.query('broken')`)}
${fn('held', `(id, { db }) => db.fetchval('held')`, `type: 'int'`)}
${fn('sleeps', '() => Bun.sleepSync(600_000)')}
${fn('waits', '() => new Promise(() => {})')}
${fn('burns', '() => { while (true) {} }')}
${fn('speaks', `(id, { log }) => { console.log('said', 3); log.warn('seen', { n: 1 }); return 1 }`)}
${fn('leaves', '() => process.exit(3)')}
${fn('many', `(ids) => { called += 1; return ids.map((id) => id === 'none' ? null : id === 'bad' ? new Error('boom') : id === 'text' ? 'x' : id.length) }`, `type: 'int', batch: 1000`)}
${fn('short', '(ids) => [1]', `type: 'int', batch: 1000`)}
${fn('calls', '() => called', `type: 'int'`)}
`

const PYTHON = `
import asyncio, os, time
from fabra import as_of, db, entity, feature, get, log

User = entity("User", key="user_id")
Pair = entity("Pair", key={"user_id": int, "shop": str})
realtime = feature(entity=User, refresh=0)
called = 0

@realtime
def whole(user_id: str) -> int: return 9007199254740993
@realtime
def floats(user_id: str) -> list: return [1.0, 0.1, 1e-7, 1e20, -0.5, 2.0 ** 60]
@realtime
def truth(user_id: str) -> bool: return True
@realtime
async def text(user_id: str) -> str: return 'é"\\\\\\U0001f600'
@realtime
def nested(user_id: str) -> dict: return {"a": [1, None, {"b": "x"}], "c": {}}
@feature(entity=User, refresh=0, columns={"n": int, "t": str})
def columns(user_id): return {"n": 1, "t": "x"}
@feature(entity=Pair, refresh=0)
def pair(user_id: int, shop: str) -> list: return [user_id, shop]
@feature(entity=User, refresh=0, inputs={"amount": float})
def doubled(user_id: str, amount: float) -> float: return amount * 2
@feature(entity=User, refresh=0, inputs={"any": "json"})
async def same(user_id: str, any): return any
@realtime
def nothing(user_id: str) -> int: return None
@realtime
def wrong(user_id: str) -> int: return "x"
@realtime
def raises(user_id: str): raise ValueError("boom")
@realtime
def rows(user_id: str):
    row = db.fetchrow("SELECT 1", user_id, 7)
    return [row["a"], row["b"], row["c"], db.fetchval("SELECT none", user_id, 7)]
@realtime
async def parts(user_id: str): return [await get("spend.avg"), await get("none")]
@realtime
def moment(user_id: str) -> int: return int(as_of().timestamp() * 1000)
@realtime
def broken(user_id: str): return db.query("broken")
@realtime
def held(user_id: str) -> int: return db.fetchval("held")
@realtime
def sleeps(user_id: str): time.sleep(600)
@realtime
async def waits(user_id: str): await asyncio.sleep(600)
@realtime
def burns(user_id: str):
    while True: pass
@realtime
def speaks(user_id: str) -> int:
    print("said", 3)
    log.warn("seen", n=1)
    return 1
@realtime
def leaves(user_id: str): os._exit(3)
@feature(entity=User, refresh=0, batch=1000)
def many(user_ids: list) -> list[int]:
    global called
    called += 1
    return [{"none": None, "bad": ValueError("boom"), "text": "x"}.get(one, len(one)) for one in user_ids]
@feature(entity=User, refresh=0, batch=1000)
def short(user_ids: list) -> list[int]: return [1]
@realtime
def calls(user_id: str) -> int: return called
`

functionRunnerSuite('threads', {
  open: (options) => bench({ 'features.ts': TYPESCRIPT }, options),
  leaving: /process\.exit\(\) was called by feature \\"leaves\\"/,
})

functionRunnerSuite('processes', {
  open: (options) => bench({ 'features.ts': TYPESCRIPT }, { ...options, isolation: 'process', python: pythonSettings() }),
  leaving: /process\.exit\(\) was called by feature \\"leaves\\"/,
})

functionRunnerSuite('Python processes', {
  open: (options) => bench({ 'features.py': PYTHON }, { ...options, entry: ['features.py'], python: pythonSettings() }),
  leaving: /os\._exit\(3\)/,
})
