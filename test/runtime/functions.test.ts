import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { Computed } from '../../src/compute/executor.ts'
import { parseExact } from '../../src/definition/exact-json.ts'
import { FabraError } from '../../src/errors.ts'
import { until } from '../support/until.ts'
import { AS_OF, answered, bench, errorOf, HEAD, type LogLine } from './project.ts'

const fn = (name: string, code: string, options = `type: 'json'`, entity = 'User') =>
  `export const ${name} = feature({ entity: ${entity}, refresh: 0, ${options} }, ${code})\n`

describe('a function gets', () => {
  test('its key: text, an exact integer, or an object for several columns', async () => {
    await using on = await bench({
      'features.ts': `${HEAD}export const Card = entity('Card', { key: { card_id: 'int' } })
        export const Pair = entity('Pair', { key: { user_id: 'int', shop: 'string' } })
        ${fn('a', '(key) => [typeof key, String(key)]')}${fn('b', '(key) => [typeof key, String(key)]', `type: 'json'`, 'Card')}
        ${fn('c', '(key) => key', `type: 'json'`, 'Pair')}`,
    })
    expect(answered(await on.ask('a', ['ü%:1']))).toEqual(['string', 'ü%:1'])
    expect(answered(await on.ask('b', ['7']))).toEqual(['number', '7'])
    expect(answered(await on.ask('b', ['9007199254740993']))).toEqual(['bigint', '9007199254740993'])
    expect(answered(await on.ask('c', ['12', 'a:b']))).toEqual({ user_id: 12, shop: 'a:b' })
  })

  test('db with its as-of time, and rows as objects', async () => {
    await using on = await bench(
      {
        'features.ts': `${HEAD}${fn('rows', `(id, { db }) => db.query('SELECT 1', id, null, new Date(0))`)}
          ${fn('val', `async (id, { db }) => [await db.fetchval('SELECT 1'), await db.fetchval('SELECT none')]`)}
          ${fn('row', `async (id, { db }) => [await db.fetchrow('SELECT 1'), await db.fetchrow('SELECT none')]`)}
          ${fn('big', `async (id, { db }) => typeof (await db.fetchrow('SELECT 1')).b`)}`,
      },
      {
        query: async (sql) => ({
          columns: ['a', 'b', '__proto__'],
          rows: sql.includes('none')
            ? []
            : [
                [1, 2n ** 60n, 3],
                [null, 2, 4],
              ],
        }),
      },
    )
    const rows = await on.ask('rows', ['u1'], { mode: 'past', timeoutMs: 50_000 })
    expect(rows).toMatchObject({ texts: ['[{"a":1,"b":1152921504606846976,"__proto__":3},{"a":null,"b":2,"__proto__":4}]'] })
    expect(on.queries[0]?.params).toEqual(['u1', null, '1970-01-01T00:00:00.000Z'])
    expect(on.queries[0]?.at.asOf).toBe(AS_OF)
    expect(on.queries[0]?.at.mode).toBe('past')
    expect(on.queries[0]?.at.timeoutMs).toBeLessThanOrEqual(50_000)
    expect(answered(await on.ask('val', ['u1']))).toEqual([1, null])
    expect(await on.ask('row', ['u1'])).toMatchObject({ texts: ['[{"a":1,"b":1152921504606846976,"__proto__":3},null]'] })
    expect(answered(await on.ask('big', ['u1']))).toBe('bigint')
  })

  test('other features by object or name, null when missing, and is as old as its oldest part', async () => {
    await using on = await bench(
      {
        'features.ts': `${HEAD}${fn('part', '() => 1')}export const renamed = feature({ entity: User, name: 'other', type: 'int' })
          ${fn('sum', `async (id, { get }) => [await get(part), await get('spend.avg'), await get(renamed), await get('none')]`)}`,
      },
      {
        read: async (name) =>
          name === 'none'
            ? { text: undefined, eventAt: null }
            : { text: name === 'part' ? '9007199254740993' : '2.5', eventAt: name === 'other' ? 50 : 70 },
      },
    )
    const answer = await on.ask('sum', ['u1'], { chain: ['outer'], mode: 'past' })
    expect(answer).toEqual({ kind: 'value', texts: ['[9007199254740993,2.5,2.5,null]'], oldestInputAt: 50 })
    expect(on.reads.map((one) => one.name)).toEqual(['part', 'spend.avg', 'other', 'none'])
    expect(on.reads[0]?.from).toMatchObject({ chain: ['outer', 'sum'], asOf: AS_OF, mode: 'past', key: { encoded: 'u1' } })
    expect(on.reads[0]?.from.feature.name).toBe('sum')
  })

  test('inputs, the as-of time, a signal and a log', async () => {
    await using on = await bench({
      'features.ts': `${HEAD}${fn(
        'all',
        `(id, { inputs, asOf, signal, log }) => { log.info('seen', { id, deep: { a: 1 } }); console.log('said', 3); return [inputs.amount, asOf.toISOString(), asOf instanceof Date, signal.aborted] }`,
        `type: 'json', inputs: { amount: 'float' }`,
      )}`,
    })
    expect(answered(await on.ask('all', ['u1'], { inputs: { amount: 2.5 } }))).toEqual([2.5, '2026-01-02T03:04:05.123Z', true, false])
    expect(on.lines[0]).toMatchObject({ level: 'info', message: 'seen', fields: { feature: 'all', key: ['u1'], id: 'u1' } })
    expect(on.lines[1]).toMatchObject({ level: 'info', message: 'said 3', fields: { feature: 'all' } })
  })
})

test('inputs and values beyond 2^53 travel exactly, and so do odd texts', async () => {
  await using on = await bench({
    'features.ts': `${HEAD}${fn('same', '(id, { inputs }) => [id, inputs.any]', `type: 'json', inputs: { any: 'json' }`)}`,
  })
  for (const any of [9007199254740993n, [{ deep: -9007199254740993n }], 'é\u2028"\\\u{1f600}', null, 1.5]) {
    const answer = await on.ask('same', ['odd "key" \u2028'], { inputs: { any } })
    if (answer.kind !== 'value') throw new Error(JSON.stringify(answer))
    expect(parseExact(answer.texts[0] ?? '')).toEqual(['odd "key" \u2028', any])
  }
})

describe('what cannot travel', () => {
  const files = {
    'features.ts': `${HEAD}${fn('f', `async (id, { db }) => db.query('SELECT', { a: () => 1 }).catch((error) => error.message)`)}
      ${fn('g', `async (id, { db }) => db.query('SELECT', [new Date(0), 1n]).then((rows) => rows.length, (error) => error.message)`)}
      ${fn('u', `async (id, { db }) => db.query('SELECT', id, id.user_id).catch((error) => error.message)`)}
      ${fn('v', `async (id, { db }) => db.query('SELECT', [id, undefined]).catch((error) => error.message)`)}`,
  }

  test('as a parameter is named to the function', async () => {
    await using on = await bench(files)
    expect(answered(await on.ask('f', ['u1']))).toContain('Parameter 1 of the query is an object')
    expect(answered(await on.ask('g', ['u1']))).toBe(0)
    expect(answered(await on.ask('u', ['u1']))).toBe(
      'Parameter 2 of the query is undefined. Is a name misspelt? Give null where there is no value.',
    )
    expect(answered(await on.ask('v', ['u1']))).toContain('Parameter 1 of the query is undefined.')
    expect(on.queries.map((one) => one.params)).toEqual([[['1970-01-01T00:00:00.000Z', 1n]]])
  })

  test('in an answer fails that question and no other', async () => {
    await using on = await bench(files, {
      query: async (_sql, _params, at) => ({ columns: ['v'], rows: at.asOf === 1 ? [[() => 1]] : [[1]] }),
    })
    const [bad, good] = await Promise.all([on.ask('g', ['u1'], { asOf: 1 }), on.ask('g', ['u2'], { asOf: 2 })])
    expect(answered(bad)).toContain('cannot be handed to a function')
    expect(answered(good)).toBe(1)
  })
})

describe('import { db }', () => {
  test('reads as of the computation it is used in, however deep and however many run', async () => {
    await using on = await bench(
      {
        'features.ts': `import { ask } from './deep.ts'\n${HEAD}${fn('f', 'async (id) => { await Promise.resolve(); return ask(id) }')}`,
        'deep.ts': `import { db } from 'fabra'\nexport const ask = async (id) => { await new Promise((r) => setTimeout(r, 1)); return db.fetchval('SELECT', id) }`,
      },
      { query: async (_sql, params, at) => ({ columns: ['v'], rows: [[`${String(params[0])}@${at.asOf}`]] }) },
    )
    const answers = await Promise.all([1, 2, 3, 4].map((n) => on.ask('f', [`u${n}`], { asOf: n * 1000, mode: 'past' })))
    expect(answers.map(answered)).toEqual(['u1@1000', 'u2@2000', 'u3@3000', 'u4@4000'])
  })

  test('throws outside of any function and after the function has ended, and never reads the present', async () => {
    await using on = await bench({
      'features.ts': `import { db } from 'fabra'\n${HEAD}
          let before; try { await db.query('SELECT top') } catch (error) { before = error.message }
          const waiting = []
          setInterval(() => { for (const resolve of waiting.splice(0)) resolve(db.query('SELECT timer').then(() => 'read', (error) => error.message)) }, 1)
          let kept, late
          ${fn('f', '() => before')}${fn('lost', '() => new Promise((resolve) => waiting.push(resolve))')}
          ${fn('keep', '(id, { db }) => { kept = db; return 1 }')}
          ${fn('use', `() => kept.query('SELECT late').then(() => 'read', (error) => error.message)`)}`,
    })
    expect(answered(await on.ask('f', ['u1']))).toContain('outside a feature function')
    expect(answered(await on.ask('lost', ['u1'], { mode: 'past' }))).toContain('outside a feature function')
    await on.ask('keep', ['u1'])
    // Two workers: ask until the one that kept it answers.
    await until('the worker that kept it', 10_000, async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => on.ask('use', ['u1'])))
      return answers.some((one) => one.kind === 'value' && one.texts[0]?.includes('has ended')) ? true : undefined
    })
    expect(on.queries).toEqual([])
  })
})

describe('the clock of user code', () => {
  const files = {
    'features.ts': `${HEAD}${fn('now', `() => [Date.now(), new Date().toISOString(), +Temporal.Now.instant().epochMilliseconds, new Date(5).getTime(), new Date() instanceof Date, typeof Date()]`)}
      ${fn('asof', '(id, { asOf }) => asOf.getTime()')}`,
  }

  test('is the as-of time in the past, and the feature that asked is named', async () => {
    await using on = await bench(files)
    const at = Math.floor(AS_OF / 1000)
    expect(answered(await on.ask('now', ['u1'], { mode: 'past' }))).toEqual([at, '2026-01-02T03:04:05.123Z', at, 5, true, 'string'])
    await on.ask('now', ['u2'], { mode: 'past' })
    expect(on.lines.filter((line) => line.message.includes('"now" asks for the current time'))).toHaveLength(1)
    await on.ask('asof', ['u1'], { mode: 'past' })
    expect(on.lines).toHaveLength(1)
  })

  test('is the present else, shifted by --clock', async () => {
    await using on = await bench(files, { clockOffset: -86_400_000_000 })
    const before = Date.now() - 86_400_000
    const [now] = answered(await on.ask('now', ['u1'])) as [number]
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now() - 86_400_000)
    expect(on.lines).toEqual([])
  })
})

describe('values', () => {
  test('several columns come from one object', async () => {
    await using on = await bench({
      'features.ts': `${HEAD}${fn('spend', `(id) => id === 'list' ? [1] : id === 'half' ? { total: 1 } : { avg: null, total: 3n, more: id === 'more' ? 1 : undefined }`, `columns: { total: 'int', avg: 'float' }`)}`,
    })
    expect(answered(await on.ask('spend', ['u1']))).toEqual([3, null])
    expect(errorOf(await on.ask('spend', ['half']))).toMatchObject({ code: 'wrong_type', message: expect.stringContaining('no "avg"') })
    const more = { code: 'wrong_type', message: expect.stringContaining('"more", which is no column') }
    expect(errorOf(await on.ask('spend', ['more']))).toMatchObject(more)
    expect(errorOf(await on.ask('spend', ['list']))).toMatchObject({ code: 'wrong_type', message: expect.stringContaining('got a list') })
  })

  test('of the wrong type name feature, key and type', async () => {
    await using on = await bench({
      'features.ts': `${HEAD}${fn('f', `(id) => ({ nan: NaN, text: '7', none: undefined, map: new Map(), big: 'x'.repeat(70000), half: 1.5, nul: null })[id]`, `type: 'int'`)}
        ${fn('s', `() => 'x'.repeat(70000)`, `type: 'string'`)}${fn('j', '() => { const a = []; a.push(a); return a }')}`,
    })
    for (const id of ['nan', 'text', 'none', 'map', 'half']) {
      const error = errorOf(await on.ask('f', [id]))
      expect(error.code).toBe('wrong_type')
      expect(error.message).toStartWith(`feature "f" for key "${id}":`)
    }
    expect(answered(await on.ask('f', ['nul']))).toBe(null)
    expect(errorOf(await on.ask('s', ['u1'])).code).toBe('value_too_large')
    expect(errorOf(await on.ask('j', ['u1'])).code).toBe('wrong_type')
  })
})

describe('a failing function', () => {
  const files = {
    'features.ts': `${HEAD}${fn('f', `async () => {\n  throw new Error('password is hunter2')\n}`)}${fn('g', '() => { throw null }')}
      ${fn('q', `async (id, { db }) => db.query('SELECT secret')`)}${fn('p', `async (id, { get }) => get('cycle')`)}
      ${fn('caught', `async (id, { db }) => db.query('SELECT secret').catch((error) => error.code)`)}`,
  }

  test('tells the client no word of its own; the log has the stack with file and line', async () => {
    await using on = await bench(files)
    const error = errorOf(await on.ask('f', ['u1']))
    expect(error).toMatchObject({ code: 'feature_failed', message: 'feature "f" failed for key "u1".' })
    expect(JSON.stringify(error)).not.toContain('hunter2')
    expect(String(on.lines[0]?.fields['error'])).toContain('password is hunter2')
    expect(String(on.lines[0]?.fields['error'])).toContain(`${on.project.path('features.ts')}:4:`)
    expect(errorOf(await on.ask('g', ['u1'])).code).toBe('feature_failed')
  })

  test('hides what the database said, but keeps that it is unreachable', async () => {
    let code: 'feature_failed' | 'store_unavailable' = 'feature_failed'
    await using on = await bench(files, {
      query: () => Promise.reject(new FabraError(code, 'at postgres://u:pw@host SELECT secret')),
    })
    const failed = errorOf(await on.ask('q', ['u1']))
    expect(failed.code).toBe('feature_failed')
    code = 'store_unavailable'
    const down = errorOf(await on.ask('q', ['u1']))
    expect(down.code).toBe('store_unavailable')
    expect(JSON.stringify([failed, down])).not.toContain('secret')
    expect(String(on.lines[0]?.fields['error'])).toContain(`${on.project.path('features.ts')}:`)
    expect(answered(await on.ask('caught', ['u1']))).toBe('store_unavailable')
  })

  test('passes on what a part says, such as a cycle', async () => {
    await using on = await bench(files, {
      read: () => Promise.reject(new FabraError('feature_failed', 'a → b → a is a cycle.', { hint: 'Break it.' })),
    })
    expect(errorOf(await on.ask('p', ['u1']))).toEqual({
      code: 'feature_failed',
      message: 'feature "p" failed for key "u1": a → b → a is a cycle.',
      hint: 'Break it.',
    })
  })

  test('does not fail its neighbours in a batch', async () => {
    await using on = await bench({ 'features.ts': `${HEAD}${fn('f', `(id) => { if (id === 'u3') throw new Error(); return id }`)}` })
    const answers = await on.askMany(
      'f',
      Array.from({ length: 200 }, (_, i) => [`u${i}`]),
    )
    expect(answers.map((one) => one.kind).filter((kind) => kind !== 'value')).toEqual(['error'])
    expect(answers.flatMap((one, i) => (one.kind === 'value' && one.texts[0] !== `"u${i}"` ? [i] : []))).toEqual([])
  })

  test('that leaves a promise behind does not take down its thread', async () => {
    const program = Bun.spawn([process.execPath, join(import.meta.dir, 'uncaught-errors.ts')], { stdout: 'pipe', stderr: 'pipe' })
    const said: unknown = await new Response(program.stdout).json()
    const { answer, lines } = said as { answer: Computed; lines: LogLine[] }
    expect(answer).toMatchObject({ kind: 'value', texts: ['1'] })
    const errors = lines.map((line) => line.fields['error']).join('\n')
    expect(errors).toContain('nobody waits')
    expect(errors).toContain('timer')
    expect(lines).toHaveLength(2)
  })

  test('logs at most once a second for each feature, and counts the rest', async () => {
    await using on = await bench(files)
    const began = performance.now()
    await on.askMany(
      'f',
      Array.from({ length: 50 }, (_, i) => [`u${i}`]),
    )
    expect(on.lines.length).toBeLessThanOrEqual(2 + (performance.now() - began) / 1_000)
  })
})

describe('limits', () => {
  test('a call ends at its deadline, and its signal is aborted', async () => {
    await using on = await bench(
      {
        'features.ts': `${HEAD}let aborted = false
          ${fn('hang', '(id, { signal }) => { signal.addEventListener("abort", () => { aborted = true }); return new Promise(() => {}) }', `type: 'int', timeout: '100ms'`)}
          ${fn('seen', '() => aborted')}`,
      },
      { workers: 1 },
    )
    expect(errorOf(await on.ask('hang', ['u1'], { timeoutMs: 100 })).code).toBe('feature_timeout')
    expect(answered(await on.ask('seen', ['u1']))).toBe(true)
  })

  test('a call that nobody waits for ends at once', async () => {
    await using on = await bench({ 'features.ts': `${HEAD}${fn('hang', '() => new Promise(() => {})')}` })
    expect(errorOf(await on.ask('hang', ['u1'], { signal: AbortSignal.timeout(50), timeoutMs: 600_000 })).code).toBe('feature_timeout')
  })

  test('calls of one feature that all hang leave places to the others', async () => {
    const files = { 'features.ts': `${HEAD}${fn('hang', '() => new Promise(() => {})')}${fn('other', '() => 1')}${fn('third', '() => 1')}` }
    await using on = await bench(files, { maxRunning: 8 })
    const gone = new AbortController()
    const hanging = Array.from({ length: 20 }, () => on.ask('hang', ['u1'], { timeoutMs: 60_000, signal: gone.signal }))
    const keys = Array.from({ length: 30 }, (_, i) => [`k${i}`])
    const answers = await Promise.all([on.askMany('other', keys), on.askMany('third', keys)])
    expect(answers.flat().map(answered)).toEqual(new Array(60).fill(1))
    gone.abort()
    expect((await Promise.all(hanging)).map((one) => errorOf(one).code)).toEqual(new Array(20).fill('feature_timeout'))
  })

  test('more calls than may wait are refused, and parts of running functions are not', async () => {
    await using on = await bench(
      { 'features.ts': `${HEAD}${fn('slow', '() => new Promise((r) => setTimeout(r, 50, 1))')}` },
      { maxRunning: 2, maxWaiting: 3 },
    )
    const outer = Array.from({ length: 8 }, () => on.ask('slow', ['u1']))
    const part = await on.ask('slow', ['u1'], { chain: ['outer'] })
    expect(answered(part)).toBe(1)
    const kinds = (await Promise.all(outer)).map((one) => (one.kind === 'error' ? one.error.code : one.kind))
    expect(kinds).toEqual(['value', 'value', 'value', 'value', 'value', 'overloaded', 'overloaded', 'overloaded'])
  })

  test('a call whose turn does not come in time hears that others were before it, unless none of them was answered either', async () => {
    await using on = await bench(
      {
        'features.ts': `${HEAD}${fn('slow', '() => new Promise((r) => setTimeout(r, 400, 1))')}${fn('hang', '() => new Promise(() => {})')}`,
      },
      { maxRunning: 2 },
    )
    const codesOf = async (feature: string, timeoutMs: number) => {
      const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => on.ask(feature, [`u${i}`], { timeoutMs })))
      return answers.map((one) => (one.kind === 'error' ? one.error.code : one.kind))
    }
    const codes = await codesOf('slow', 6_000)
    expect(codes[0]).toBe('value')
    expect(codes.at(-1)).toBe('overloaded')
    // Of those alone that were running.
    expect(codes.filter((code) => code === 'feature_timeout').length).toBeLessThanOrEqual(2)
    expect(new Set(await codesOf('hang', 300))).toEqual(new Set(['feature_timeout']))
  })
})
