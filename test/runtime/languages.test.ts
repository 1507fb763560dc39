/** Files of both languages are one store: names, parts, sets and problems know no border. */
import { expect, test } from 'bun:test'
import { existsSync, statSync, utimesSync } from 'node:fs'
import { createRuntime } from '../../src/runtime/runtime.ts'
import { pythonSettings } from '../support/python.ts'
import { answered, bench, type Files, HEAD, project } from './project.ts'

const PYTHON_HEAD = `from datetime import timedelta
from fabra import FeatureStore, entity, feature, feature_set, get, pushed, source, db

@entity
class User:
    user_id: str
`

async function load(files: Files) {
  using on = project(files)
  const entry = Object.keys(files).filter((name) => name.startsWith('features'))
  const runtime = createRuntime({ files: entry.map(on.path), log: () => {}, python: pythonSettings() })
  try {
    const loaded = await runtime.load()
    loaded.discard()
    const place = (one: (typeof loaded.problems)[number]) =>
      one.location && `${one.location.file.replace(`${on.folder}/`, '')}:${one.location.line}`
    const strip = (text: string) => text.replaceAll(`${on.folder}/`, '')
    return { ...loaded, says: loaded.problems.map((one) => [place(one), one.subject, strip(one.message), strip(one.hint)]) }
  } finally {
    await runtime.close()
  }
}

test('features of both languages are parts of each other, stand in one set, and are reloaded together', async () => {
  const files = {
    'features.ts': `${HEAD}
export const base = feature({ entity: User, refresh: '5m', type: 'int' }, () => 20)
export const over_py = feature({ entity: User, refresh: 0, type: 'float', uses: ['half'] }, async (id, { get }) => (await get('half')) * 3)
export const mixed = featureSet('mixed', [base, 'half', 'spread.low'])
`,
    'features.py': `${PYTHON_HEAD}
store = FeatureStore("redis://localhost")

@feature(entity=User, refresh=0, uses=["base"])
def half(user_id: str) -> float:
    """Half of the base.

    Not this."""
    return get("base") / 2

spread = feature(entity=User, refresh="5m", columns={"low": float, "high": float}, sql="SELECT 1 AS low, 2 AS high")

@feature(entity=User, refresh=timedelta(hours=1), batch=2, nan="null", max_staleness=90, default=None)
def scores(user_ids: list[str]) -> list[float]:
    return [float("nan") if user_id == "nan" else len(user_ids) / 2 for user_id in user_ids]

risk = pushed(entity=User, type=float, max_staleness="7d")
fraud = feature_set("fraud", [half, spread["high"], "base", risk])
`,
  }
  const read = async (name: string) => ({ text: name === 'base' ? '20' : '7.5', eventAt: null })
  await using on = await bench(files, { entry: ['features.ts', 'features.py'], python: pythonSettings(), read })
  const { registry } = on.loaded
  expect([...registry.features.keys()]).toEqual(['base', 'over_py', 'half', 'spread', 'scores', 'risk'])
  expect([...registry.entities.keys()]).toEqual(['User'])
  expect(registry.featureSets.get('mixed')?.features).toEqual(['base', 'half', 'spread.low'])
  expect(registry.featureSets.get('fraud')?.features).toEqual(['half', 'spread.high', 'base', 'risk'])
  expect(registry.features.get('half')).toMatchObject({ description: 'Half of the base.', uses: ['base'], refresh: { kind: 'realtime' } })
  expect(registry.features.get('scores')).toMatchObject({
    batch: 2,
    nan: 'null',
    maxStaleness: 90_000_000,
    refresh: { every: 3_600_000_000 },
    defaults: ['null'],
  })

  expect(answered(await on.ask('half', ['u1']))).toBe(10)
  expect(answered(await on.ask('over_py', ['u1']))).toBe(22.5)
  expect((await on.askMany('scores', [['a'], ['nan'], ['c']])).map(answered)).toEqual([1, null, 0.5])

  // A change of one is a change of all: what is called is what was loaded together.
  const before = registry.features.get('base')?.fingerprint
  // An edit of the same second and the same size is one, too, whatever Python's own cache takes it for.
  const { atime, mtime } = statSync(on.project.path('features.py'))
  on.project.write({ 'features.py': files['features.py'].replace('/ 2', '/ 4') })
  utimesSync(on.project.path('features.py'), atime, mtime)
  on.loaded = await on.runtime.load()
  on.loaded.activate()
  expect(answered(await on.ask('half', ['u1']))).toBe(5)
  expect(on.loaded.registry.features.get('base')?.fingerprint).toBe(before)
  expect(existsSync(on.project.path('__pycache__'))).toBe(false)
  // What is to be known of the files is told once, however often they are read.
  expect(on.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([expect.stringContaining('FeatureStore')])
}, 180_000)

test('what is wrong with Python definitions is said as Python writes it, by the same rules', async () => {
  const { says } = await load({
    'features.ts': `${HEAD}export const count = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT 1' })\n`,
    'features.py': `${PYTHON_HEAD}
@feature(entity=User, refresh="5m")
def count(user_id: str) -> int:
    return 1

@feature(refresh="5x", ttl="1d")
def one(user_id: str) -> int:
    return 1

two = feature(entity=User, max_staleness=timedelta(seconds=-5), columns={"a": "text"}, sql="")
three = feature(entity=User, refresh="5m", type="int", sql="SELECT 1", inputs={"amount": float}, batch=0, replay="yes")
empty = feature_set("empty", [])
unknown = feature_set("unknown", ["nothing", one, {1, 2}, None])
four = pushed(entity=User, columns={"x": int}, default={"y": 1}, history=True)
source("transactions", timestamp="at", static=True)
source("clicks", time_stamp="at")
`,
  })
  const HINT = 'Write "5m", "1h", timedelta(minutes=5), a cron string, or 0 for realtime.'
  expect(says).toEqual([
    [
      'features.py:8',
      'feature "count"',
      'the name is taken: it is defined at features.ts:3 too.',
      'Names are unique. Rename one, or give it a name="…".',
    ],
    ['features.py:12', 'feature "one"', 'there is no option "ttl".', 'Did you mean "max_staleness"?'],
    ['features.py:12', 'feature "one"', 'refresh "5x" is not a duration.', HINT],
    [
      'features.py:12',
      'feature "one"',
      'entity is missing.',
      'Write entity=User, with a class User under @entity, or User = entity("User", key="user_id").',
    ],
    ['features.py:16', 'feature "two"', 'sql is empty.', 'Write a SELECT that gives one row for one key.'],
    ['features.py:16', 'feature "two"', 'refresh is missing.', HINT],
    [
      'features.py:16',
      'feature "two"',
      'column "a" has the type "text".',
      'Did you mean str? Known: int, float, str, bool, datetime, list, dict, and Any for json.',
    ],
    [
      'features.py:16',
      'feature "two"',
      'max_staleness timedelta(seconds=-5) is negative.',
      'Write "30s", "5m", "1h", "7d" or timedelta(minutes=5).',
    ],
    [
      'features.py:17',
      'feature "three"',
      'inputs are for functions; sql cannot use them.',
      'Compute it with a function under @feature(…), whose parameters are the key and the inputs.',
    ],
    ['features.py:17', 'feature "three"', 'replay is for functions.', 'Leave it out: training runs the sql itself at each time.'],
    ['features.py:17', 'feature "three"', 'batch is for functions.', 'Leave it out: sql is run for many keys at once anyway.'],
    ['features.py:17', 'feature "three"', 'replay must be True or False, got "yes".', 'Write replay=True, or leave it out.'],
    [
      'features.py:17',
      'feature "three"',
      'batch must be a whole number of keys from 1 to 10000, got 0.',
      'Write batch=1000, or batch=True for the same.',
    ],
    [
      'features.py:18',
      'feature set "empty"',
      'it has no features.',
      'Write feature_set("fraud_v1", [transaction_count_1h, "spend.avg_30d"]).',
    ],
    ['features.py:19', 'feature set "unknown"', 'it names "nothing". No feature "nothing".', 'Known: count, one, two, three, four.'],
    [
      'features.py:19',
      'feature set "unknown"',
      'it names {1, 2}, which is no feature.',
      'Give features, or names such as "spend.avg_30d".',
    ],
    ['features.py:19', 'feature set "unknown"', 'it names None, which is no feature.', 'Give features, or names such as "spend.avg_30d".'],
    ['features.py:20', 'feature "four"', 'default has "y", which is no column.', 'The columns are x.'],
    ['features.py:20', 'feature "four"', 'default has no "x".', 'Write default={"x": …}. None stands for "known to be nothing".'],
    ['features.py:20', 'feature "four"', 'history True is not known.', 'Known: auto, changes, all, off.'],
    [
      'features.py:21',
      'source "transactions"',
      'it is static and has a timestamp.',
      'Leave one of them out: a static table has the same rows at every time.',
    ],
    ['features.py:22', 'source "clicks"', 'there is no option "time_stamp".', 'Did you mean "timestamp"?'],
  ])
}, 180_000)

test('an entity that both languages declare is one where it has the same key, and a clash where not', async () => {
  const ts = (key: string) => ({
    'features.ts': `import { entity, feature } from 'fabra'
export const User = entity('User', { key: ${key}, keys: 'SELECT user_id FROM users' })
export const count = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT 1' })
`,
  })
  const py = { 'features.py': `${PYTHON_HEAD}\nscore = pushed(entity=User, type=float)\n` }
  const same = await load({ ...ts("{ user_id: 'string' }"), ...py })
  expect(same.says).toEqual([])
  expect(same.registry.entities.get('User')).toMatchObject({ keys: 'SELECT user_id FROM users' })
  const other = await load({ ...ts("{ user_id: 'int' }"), ...py })
  expect(other.says).toEqual([
    [
      'features.py:4',
      'entity "User"',
      'the name is taken: it is defined with another key at features.ts:2 too.',
      'An entity of both languages has the same key columns, of the same types, in both.',
    ],
  ])
}, 180_000)

test('each language says of a file that defines nothing what to write', async () => {
  expect((await load({ 'features.py': 'x = 1\n' })).says).toEqual([
    ['features.py:1', 'file "features.py"', 'it defines no feature.', 'Write @feature(entity=User, …) above a function.'],
  ])
  const notebook = await load({ 'features.ipynb': '{}' })
  expect(notebook.says.map((one) => one.slice(2))).toEqual([
    ['it is a notebook.', 'Make a file of it: jupyter nbconvert --to script features.ipynb'],
  ])
}, 180_000)
