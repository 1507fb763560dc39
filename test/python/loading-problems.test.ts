import { expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { type Frame, someInterpreters, startGuest } from './guest.ts'

setDefaultTimeout(120_000)

const oldest = someInterpreters()[0] ?? 'python3'
const newest = someInterpreters().at(-1) ?? 'python3'

const HEAD = 'from fabra import db, entity, feature, feature_set, get, pushed, source, FeatureStore\nUser = entity("User", key="user_id")\n'

/** One file for each way of not being loaded. */
const BROKEN: Readonly<Record<string, readonly [text: string, line: number, message: string, hint: string]>> = {
  'syntax.py': ['x = 1\ndef f(:\n  pass\n', 2, 'cannot be read as code: invalid syntax', 'Correct it there; this is Python'],
  'tabs.py': ['if 1:\n\tx = 1\n        y = 2\n', 3, 'cannot be read as code', 'Correct it there'],
  'missing.py': [
    'import os\nimport no_such_package.inner\n',
    2,
    'the package "no_such_package", which is not installed in',
    '-m pip install no_such_package',
  ],
  'client.py': ['from fabra import Client\n', 1, 'the package "httpx", which is not installed in', '-m pip install httpx'],
  'nul.py': ['x = 1\0\n', 1, 'null bytes', ''],
  'dot.py': ['\nfrom .shop import broken\n', 2, 'its folder is none', 'without the dot'],
  'executes.py': ['exec("\\n\\n1 / 0")\n', 1, 'its top-level code threw ZeroDivisionError', 'must not fail'],
  'relative.py': ['import shop.nowhere\n', 1, 'it imports "shop.nowhere", and there is no such file', 'Look into'],
  'typo.py': ['from fabra import featur\n', 1, 'it imports "featur" from "fabra"', 'Did you mean "feature"?'],
  'submodule.py': ['import fabra.features\n', 1, 'it imports "fabra.features", which Fabra does not have', 'from "fabra"'],
  'raises.py': [
    'def inner():\n    return 1 / 0\n\ninner()\n',
    2,
    'its top-level code threw ZeroDivisionError: division by zero',
    'must not fail',
  ],
  'leaves.py': ['import sys\nsys.exit("bye")\n', 2, "called sys.exit('bye')", '__main__'],
  'asks.py': [`${HEAD}rows = db.query("SELECT 1")\n`, 3, 'db was used outside a feature function', 'Use db only while'],
  'deep.py': ['from shop import broken\n', 1, 'its top-level code threw KeyError', 'must not fail'],
  'unicode.py': ['# coding: utf-8\nx = "\\xff"\ny = "' + 'a' + '\n', 3, 'cannot be read as code', 'Correct it there'],
}

test('every file that cannot be loaded is named, with the line and what to do', async () => {
  const files = Object.fromEntries(Object.entries(BROKEN).map(([name, [text]]) => [name, text]))
  const more = { 'shop/__init__.py': '', 'shop/broken.py': 'x = 1\n{}["gone"]\n', 'notes.ipynb': '{}', 'features.txt': '' }
  const load = [...Object.keys(BROKEN), 'notes.ipynb', 'features.txt', 'shop', 'sintax.py', 'nowhere/x.py']
  await using guest = await startGuest({ ...files, ...more }, { python: oldest, load })
  const problems: Frame[] = guest.loaded['problems']
  const of = (name: string) =>
    problems.filter((one) => one['location']?.file === join(guest.folder, name) || one['subject'] === `file "${name}"`)
  for (const [name, [, line, message, hint]] of Object.entries(BROKEN)) {
    const at = name === 'deep.py' ? 'shop/broken.py' : name
    expect([name, of(at).map((one) => [one['location'].line, one['message'], one['hint']])]).toEqual([
      name,
      [[name === 'deep.py' ? 2 : line, expect.stringContaining(message), expect.stringContaining(hint)]],
    ])
  }
  expect(of('notes.ipynb')).toMatchObject([{ message: 'it is a notebook.', hint: expect.stringContaining('nbconvert') }])
  expect(of('features.txt')).toMatchObject([{ message: 'it is not a Python file.' }])
  expect(of('shop')).toMatchObject([{ message: 'it is a folder.' }])
  expect(of('sintax.py')).toMatchObject([{ hint: 'Did you mean "syntax.py"?' }])
  expect(of('x.py')).toMatchObject([{ message: expect.stringContaining('does not exist') }])
  expect(problems.length).toBe(load.length)
  expect(guest.loaded['files']).toContain(join(guest.folder, 'shop/broken.py'))
})

/** Names, places and raw options of everything that a file may say. */
const PROJECT: Readonly<Record<string, string>> = {
  'app/__init__.py': '',
  'app/features.py': `"""Features of the app."""
from __future__ import annotations
from datetime import timedelta, datetime, timezone
from decimal import Decimal
from uuid import UUID
import functools, os, sys
sys.path.append(os.path.join(os.getcwd(), 'lib'))
from fabra import FeatureStore, as_of, db, entity, feature, feature_set, get, pushed, source
from .shared import Shop, imported
from . import shared

store = FeatureStore("postgres://x", online="redis://y")

@entity(store, keys="SELECT id FROM u", owner="us")
class User:
    """People.

    More of it."""
    id: int
    token: UUID
    LIMIT = 3

source("t", timestamp="at", delay=timedelta(seconds=1.5), columns={"a": "BIGINT"})

@functools.lru_cache(maxsize=None)
def helper(): return 1

def logged(fn):
    @functools.wraps(fn)
    def inner(*args): return fn(*args)
    return inner

@logged
@feature(entity=User, refresh=300, max_staleness="7d")
def wrapped(id: int, token: UUID) -> float: return 1.0

@feature(store, entity=User, refresh="5m", columns={"a": float, "b": list[str]} if sys.version_info >= (3, 9) else {})
def columned(id, token): return {"a": 1.0, "b": []}

spend = feature(entity=Shop, refresh="5m", columns={"total": float}, sql="SELECT 1 AS total")
"""What was spent."""
first = second = pushed(entity=Shop, type=dict, default={"a": Decimal("1.5"), "b": [True, None]})
set_ = feature_set("all_of_it", [columned, spend["total"], wrapped, "spend"], description="d")
odd = feature(entity="Shop", refresh={1, 2}, tags=("a", "b"), sql="x", nmae=lambda: 1)

@feature(entity=Shop, refresh="1h", batch=True)
async def many(shops: list[str]) -> list[float | None]: return []

@feature(entity=Shop, refresh="1h")
def strange(shop: str) -> Nowhere: return 1

@feature(entity=Shop, refresh=0, inputs={"amount": float})
def lacks(shop): return 1

@feature(entity=Shop, refresh=0, inputs={"amount": float})
def optional(shop, amount=1.5): return amount

@feature(entity=Shop, refresh=0)
def wants(shop, amount): return 1

@feature(entity=User, refresh=0)
def partly(id): return 1

@feature
def bare(shop): return 1

made = [feature(entity=Shop, refresh="1h", sql="SELECT 1") for _ in range(2)]

def factory():
    @feature(entity=Shop, refresh="1h")
    def produced(shop): return 1
    return produced

held = [factory()]
named = factory()

@feature(entity=Shop, refresh="1h")
def twice(shop): return 1

@feature(entity=Shop, refresh="1h")
def twice(shop): return 2

class Model:
    @feature(entity=Shop, refresh="1h")
    def score(self, shop): return 1
`,
  'app/shared.py': `from fabra import entity, feature
Shop = entity("Shop", key="shop")
imported = feature(entity=Shop, refresh="1h", sql="SELECT 2 AS x")
`,
  'lib/fabra/__init__.py': '',
  'lib/fabra_ai-0.0.1.dist-info/METADATA': '',
  'queue.py': 'raise RuntimeError("hidden")\n',
  'other/features.py': 'from fabra import feature\nimport __main__\nassert __name__ not in ("__main__", "features")\n',
  'features.py': 'import sys\nassert __name__ == "features"\n',
}

test('definitions become plain data with names and places', async () => {
  await using guest = await startGuest(PROJECT, {
    python: newest,
    load: ['app/features.py', 'features.py', 'other/features.py'],
    frame: { fabra: '1.2.3' },
  })
  const { drafts, problems, warnings, files } = guest.loaded as unknown as Record<string, Frame[]>
  const file = join(guest.folder, 'app/features.py')
  expect(problems).toEqual([])
  expect(warnings).toMatchObject([
    { location: { file: join(guest.folder, 'queue.py') }, message: expect.stringContaining('"queue" of the standard library') },
    { location: { file, line: 12 }, subject: 'FeatureStore', message: expect.stringContaining('no effect') },
    { location: null, message: expect.stringContaining('has version 0.0.1 of the package'), hint: expect.stringContaining('1.2.3') },
  ])
  expect(files?.map(String).toSorted()).toEqual(
    ['app/__init__.py', 'app/features.py', 'app/shared.py', 'features.py', 'other/features.py'].map((name) => join(guest.folder, name)),
  )
  const byName = (name: string): Frame => drafts?.find((one) => one['name'] === name) ?? { t: 'none' }
  const ref = (name: string) => ({ $ref: byName(name)['id'] })
  expect(byName('User')).toMatchObject({
    doc: 'People.',
    args: ['User'],
    options: { key: { id: 'int', token: 'uuid' }, keys: 'SELECT id FROM u' },
    location: { line: 14 },
  })
  expect(byName('t')).toMatchObject({ kind: 'source', options: { delay: { $micros: 1_500_000 }, columns: { a: 'BIGINT' } } })
  expect(byName('wrapped')).toMatchObject({ options: { refresh: 300, type: 'float' }, complaints: [] })
  expect(byName('columned')).toMatchObject({ args: [], options: { columns: { a: 'float', b: 'list[string]' } }, complaints: [] })
  expect(byName('spend')).toMatchObject({ doc: 'What was spent.', options: { entity: ref('Shop') }, function: null })
  expect(byName('first')).toMatchObject({ options: { type: 'dict', default: { a: 1.5, b: [true, null] } } })
  expect(byName('all_of_it')['args']).toEqual([
    'all_of_it',
    [ref('columned'), { $column: { ref: byName('spend')['id'], column: 'total' } }, ref('wrapped'), 'spend'],
  ])
  expect(byName('odd')['options']).toEqual({
    entity: 'Shop',
    refresh: { $shown: '{1, 2}', $type: 'set' },
    tags: ['a', 'b'],
    sql: 'x',
    nmae: { $shown: 'the function <lambda>', $type: 'function' },
  })
  expect(byName('many')).toMatchObject({ options: { type: 'float', batch: true }, function: { isAsync: true } })
  expect(byName('imported')).toMatchObject({ file: join(guest.folder, 'app/shared.py'), location: { line: 3 } })
  expect(byName('bare')).toMatchObject({ options: {}, complaints: [] })
  expect(byName('named')).toMatchObject({ complaints: [] })
  const complaints = (drafts ?? []).flatMap((one) =>
    one['complaints'].map((complaint: Frame) => [one['name'], complaint['message'], complaint['hint']]),
  )
  expect(byName('strange')['complaints']).toMatchObject([{ location: { file, line: 50 } }])
  const nameless = [null, expect.stringContaining('it has no name'), expect.stringContaining('name=')]
  expect(complaints).toEqual([
    ['strange', expect.stringContaining('Nowhere'), expect.any(String)],
    ['lacks', expect.stringContaining('the input "amount"'), 'Add it: def lacks(…, amount).'],
    ['optional', 'its input "amount" has a default, and every request has to send it.', expect.stringContaining('Leave the default out')],
    ['wants', expect.stringContaining('parameter "amount" is neither'), expect.stringContaining('inputs=')],
    ['partly', expect.stringContaining('does not take the key (id, token)'), 'Write def partly(id, token).'],
    nameless,
    nameless,
    nameless,
    [null, '"twice" is defined again in line 80, which hides this one.', expect.stringContaining('a name of its own')],
    [null, expect.stringContaining('in the class "Model"'), expect.stringContaining('score = feature(…)(my_object.score)')],
  ])
})

test('a project that hides fabra is told so, and what old Pythons cannot read', async () => {
  await using hidden = await startGuest({ 'features.py': 'from fabra import feature\n', 'fabra.py': '' }, { python: oldest })
  expect(hidden.loaded['problems']).toMatchObject([
    { location: { file: join(hidden.folder, 'fabra.py') }, hint: expect.stringContaining('Rename it') },
  ])
})
