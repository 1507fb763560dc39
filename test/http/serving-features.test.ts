import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'
import { fail, failure, hang, NO_ROW } from '../support/programmable-executor.ts'

let http: HttpBench
beforeAll(async () => {
  http = await openHttpBench({
    entities: {
      User: { user_id: 'string' },
      Account: { account_id: 'int' },
      Pair: { user_id: 'string', merchant_id: 'string' },
    },
    features: {
      transaction_count_1h: { type: 'int' },
      spend: { columns: { total_30d: 'float', avg_30d: 'float' } },
      only: { columns: { total: 'float' } },
      velocity: { kind: 'function', refresh: 0, type: 'json', timeout: '1s' },
      vs_usual: { kind: 'function', refresh: 0, type: 'json', inputs: { amount: 'int', note: 'string', more: 'json' } },
      segment: { type: 'string', default: 'regular' },
      score: { kind: 'pushed', type: 'float', maxStaleness: '7d' },
      balance: { entity: 'Account', type: 'int' },
      pair: { entity: 'Pair', type: 'string' },
    },
    featureSets: { fraud_v1: ['transaction_count_1h', 'spend', 'score'] },
  })
})
afterAll(() => http.close())

let n = 0
let id = ''
beforeEach(() => {
  // A key of its own for each test.
  id = `u${++n}`
  http.bench.clock.set(Date.parse('2026-01-02T03:04:05Z') * 1000 + 123_456)
  const { programme } = http.bench
  programme.set('transaction_count_1h', () => 47)
  programme.set('spend', () => ({ total_30d: 120.5, avg_30d: 40.1 }))
  programme.set('only', () => ({ total: 1 }))
  programme.set('segment', () => NO_ROW)
  programme.set('velocity', () => 3)
  programme.set('vs_usual', (call) => call.inputs)
  programme.set('balance', () => 9223372036854775807n)
  programme.set('pair', (call) => call.key)
})

describe('GET /v1/features/{name}', () => {
  test('answers exactly as documented', async () => {
    const { status, text } = await http.get(`/v1/features/transaction_count_1h?entity_id=${id}`)
    expect(status).toBe(200)
    expect(text).toBe(
      `{"feature":"transaction_count_1h","entity":{"user_id":"${id}"},"value":47,"status":"fresh","served_from":"computed","freshness_ms":0,"event_timestamp":"2026-01-02T03:04:05.123456Z"}\n`,
    )
    http.bench.clock.advance('1200ms')
    expect((await http.get(`/v1/features/transaction_count_1h?user_id=${id}`)).text).toBe(
      `{"feature":"transaction_count_1h","entity":{"user_id":"${id}"},"value":47,"status":"fresh","served_from":"online","freshness_ms":1200,"event_timestamp":"2026-01-02T03:04:05.123456Z"}\n`,
    )
  })

  test('gives a feature with columns as an object, one column by its name, also when it is the only one', async () => {
    expect((await http.get(`/v1/features/spend?entity_id=${id}`)).json.value).toEqual({ total_30d: 120.5, avg_30d: 40.1 })
    expect((await http.get(`/v1/features/spend.avg_30d?entity_id=${id}`)).json).toMatchObject({ feature: 'spend.avg_30d', value: 40.1 })
    expect((await http.get(`/v1/features/only?entity_id=${id}`)).json.value).toEqual({ total: 1 })
    expect((await http.get(`/v1/features/only.total?entity_id=${id}`)).json.value).toBe(1)
  })

  test('a default, a missing value: unknown ages are null', async () => {
    expect((await http.get(`/v1/features/segment?entity_id=${id}`)).text).toBe(
      `{"feature":"segment","entity":{"user_id":"${id}"},"value":"regular","status":"default","served_from":"default","freshness_ms":null,"event_timestamp":null}\n`,
    )
    expect((await http.get(`/v1/features/score?entity_id=${id}`)).text).toBe(
      `{"feature":"score","entity":{"user_id":"${id}"},"value":null,"status":"missing","served_from":null,"freshness_ms":null,"event_timestamp":null}\n`,
    )
  })

  test('a missing feature with columns is null, not an object of nulls', async () => {
    http.bench.programme.set('only', () => NO_ROW)
    expect((await http.get(`/v1/features/only?entity_id=${id}`)).json).toMatchObject({ value: null, status: 'missing' })
  })

  test('a derived value tells its oldest input', async () => {
    await http.get(`/v1/features/transaction_count_1h?entity_id=${id}`)
    http.bench.clock.advance('1m')
    http.bench.programme.set('velocity', (call) => call.get('transaction_count_1h'))
    expect((await http.get(`/v1/features/velocity?entity_id=${id}`)).text).toBe(
      `{"feature":"velocity","entity":{"user_id":"${id}"},"value":47,"status":"fresh","served_from":"computed","freshness_ms":0,"event_timestamp":"2026-01-02T03:05:05.123456Z","oldest_input_timestamp":"2026-01-02T03:04:05.123456Z"}\n`,
    )
  })

  test.each([
    ['feature_failed', 502, () => fail],
    ['feature_timeout', 504, () => hang],
    [
      'wrong_type',
      500,
      () => () => {
        throw failure('wrong_type')
      },
    ],
    [
      'store_unavailable',
      503,
      () => () => {
        throw failure('store_unavailable')
      },
    ],
  ] as const)('%s is %p in the error shape', async (code, status, body) => {
    http.bench.programme.set('velocity', body())
    const answer = await http.get(`/v1/features/velocity?entity_id=${id}`)
    expect(answer.status).toBe(status)
    expect(Object.keys(answer.json)).toEqual(['error'])
    expect(Object.keys(answer.json.error)).toEqual(['code', 'message', 'hint', 'request_id'])
    expect(answer.json.error.code).toBe(code)
    expect(answer.json.error.request_id).toMatch(/^[0-9a-f-]{36}$/)
    expect(answer.headers.get('x-request-id')).toBe(answer.json.error.request_id)
  })

  test('an unknown feature is a 404 that names the nearest one', async () => {
    const answer = await http.get('/v1/features/transaction_cnt_1h?entity_id=u1', { 'x-request-id': 'my-request.1' })
    expect(answer.status).toBe(404)
    expect(answer.text).toBe(
      '{"error":{"code":"unknown_feature","message":"No feature \\"transaction_cnt_1h\\".","hint":"Did you mean \\"transaction_count_1h\\"?","request_id":"my-request.1"}}\n',
    )
  })

  test('an unknown column, a column of a single value, a feature set are 404s that say so', async () => {
    expect((await http.get('/v1/features/spend.avg_30?entity_id=u1')).json.error.hint).toBe('Did you mean "spend.avg_30d"?')
    expect((await http.get('/v1/features/segment.x?entity_id=u1')).json.error.message).toBe(
      'segment has no column "x": it is a single value.',
    )
    const set = await http.get('/v1/features/fraud_v1?entity_id=u1')
    expect([set.status, set.json.error.message]).toEqual([404, '"fraud_v1" is a feature set, not a feature.'])
  })

  test('a list of names is no name, whatever was asked before', async () => {
    await http.post('/v1/features', { features: ['score', 'segment'], rows: [{ user_id: id }] })
    expect((await http.get('/v1/features/score,segment?entity_id=u1')).status).toBe(404)
    const batch = await http.post('/v1/features', { features: ['score,segment'], rows: [{ user_id: id }] })
    expect(batch.status).toBe(404)
  })

  test('max_age bounds the age, and must be a duration', async () => {
    await http.get(`/v1/features/transaction_count_1h?entity_id=${id}`)
    http.bench.clock.advance('1m')
    const path = `/v1/features/transaction_count_1h?entity_id=${id}`
    expect((await http.get(`${path}&max_age=2m`)).json).toMatchObject({ served_from: 'online', freshness_ms: 60_000 })
    expect((await http.get(`${path}&max_age=30s`)).json).toMatchObject({ served_from: 'computed', freshness_ms: 0 })
    for (const wrong of ['soon', '', '-1s', '5']) {
      const { status, json } = await http.get(`${path}&max_age=${wrong}`)
      expect([wrong, status, json.error.code]).toEqual([wrong, 422, 'invalid_input'])
    }
  })

  test.each([
    ['', 'invalid_key', 'No key is given: whose value is asked for?'],
    ['?entity_id=', 'invalid_key', 'User.user_id: a key column cannot be empty.'],
    ['?entity_id=a&entity_id=b', 'invalid_key', '"entity_id" is given twice.'],
    ['?entity_id=a&user_id=a', 'invalid_key', 'Both entity_id and user_id are given.'],
    ['?user_idd=a', 'invalid_key', 'Unknown query parameter "user_idd".'],
    ['?entity_id=a&__proto__=1', 'invalid_key', 'Unknown query parameter "__proto__".'],
    ['?entity_id=a&amount=1', 'invalid_key', 'Unknown query parameter "amount".'],
  ])('GET …%s is a 422', async (query, code, message) => {
    const { status, json } = await http.get(`/v1/features/transaction_count_1h${query}`)
    expect(status).toBe(422)
    expect(json.error).toMatchObject({ code, message })
    expect(json.error.hint).toBeString()
  })

  test('keys of several columns are given by name', async () => {
    const { json } = await http.get('/v1/features/pair?merchant_id=m%3A9&user_id=a%25b')
    expect(json).toMatchObject({ entity: { user_id: 'a%b', merchant_id: 'm:9' }, value: 'a%25b:m%3A9' })
    const one = await http.get('/v1/features/pair?entity_id=a')
    expect([one.status, one.json.error.hint]).toEqual([422, 'Write ?user_id=…&merchant_id=….'])
    expect((await http.get('/v1/features/pair?user_id=a')).json.error.message).toBe('The row has no "merchant_id", a key column of Pair.')
  })

  test('the page of an entity with several key columns names them after a dash', async () => {
    const page = await http.get('/v1/entities/Pair/-?merchant_id=m%2F9&user_id=a')
    expect(page.json).toMatchObject({ entity: { user_id: 'a', merchant_id: 'm/9' }, features: [{ feature: 'pair', value: 'a:m/9' }] })
    const one = await http.get('/v1/entities/Pair/a')
    expect([one.status, one.json.error.message]).toEqual([422, 'This entity has several key columns.'])
    expect((await http.get('/v1/entities/Pair/-?user_id=a')).status).toBe(422)
    expect((await http.get('/v1/entities/User/-')).json.entity).toEqual({ user_id: '-' })
    expect((await http.get('/v1/entities/User/a?entity_id=b')).status).not.toBe(500)
  })

  test('integers are exact beyond 2^53, in keys, values and inputs', async () => {
    const { text } = await http.get('/v1/features/balance?entity_id=9007199254740993')
    expect(text).toStartWith('{"feature":"balance","entity":{"account_id":9007199254740993},"value":9223372036854775807,')
    expect((await http.get('/v1/features/balance?entity_id=9007199254740992')).text).toContain('"account_id":9007199254740992}')
    const inputs = await http.get(
      `/v1/features/vs_usual?entity_id=${id}&amount=9007199254740993&note=9007199254740993&more=[9007199254740995]`,
    )
    expect(inputs.text).toContain('"value":{"amount":9007199254740993,"note":"9007199254740993","more":[9007199254740995]}')
  })

  test.each([
    ['abc', 'Account.account_id: "abc" is not an int.'],
    ['9223372036854775808', 'Account.account_id: "9223372036854775808" is outside 64 bits.'],
    ['1.0', 'Account.account_id: "1.0" is not an int.'],
  ])('an int key %p is a 422', async (key, message) => {
    expect((await http.get(`/v1/features/balance?entity_id=${key}`)).json.error.message).toBe(message)
  })

  test('inputs of the wrong type, or missing, are a 422 that names them', async () => {
    const path = `/v1/features/vs_usual?entity_id=${id}&note=n`
    for (const query of ['&amount=1.5&more=1', '&amount=x&more=1', '&amount=1&more={', '&more=1', '&amount=1']) {
      const { status, json } = await http.get(path + query)
      expect([query, status, json.error.code]).toEqual([query, 422, 'invalid_input'])
      expect(json.error.message).toMatch(/"(amount|more)"/)
    }
  })
})

describe('odd keys', () => {
  const odd = [
    ':',
    '%',
    '%3A',
    'a:b',
    '"',
    "'",
    '\\',
    "'; DROP TABLE x; --",
    'é',
    '日本語',
    '👩‍👩‍👧',
    ' ',
    'a b',
    'a+b',
    'a&b=c',
    '#?/',
    '\u0001\u001f',
    '\n\r\t',
    '\u2028',
    '__proto__',
    'constructor',
    'null',
    // Twice, with the colon between them, all that the columns of one key may have together.
    'x'.repeat(1023),
  ]
  test.each(odd)('%j comes back as it was, by address and by body', async (key) => {
    const one = await http.get(`/v1/features/velocity?entity_id=${encodeURIComponent(key)}`)
    expect(one.json.entity).toEqual({ user_id: key })
    const many = await http.post('/v1/features', { features: ['velocity'], rows: [{ user_id: key }] })
    expect(many.json.results[0].entity).toEqual({ user_id: key })
    expect(many.json.results[0].values).toEqual([3])
    const pair = await http.post('/v1/features', { features: ['pair'], rows: [{ user_id: key, merchant_id: key }] })
    expect(pair.json.results[0].entity).toEqual({ user_id: key, merchant_id: key })
    const all = await http.get(`/v1/entities/User/${encodeURIComponent(key)}`)
    expect(all.json.entity).toEqual({ user_id: key })
  })

  test.each([
    ['NUL', '"a\\u0000b"'],
    ['a lone surrogate', '"\\ud800"'],
    ['10 KB', JSON.stringify('x'.repeat(10_240))],
    ['nothing', '""'],
    ['null', 'null'],
    ['a bool', 'true'],
    ['a list', '["a"]'],
    ['an object', '{"a":1}'],
    ['a fraction', '1.5'],
    ['an inexact integer', '1e300'],
  ])('%s as a key is a 422 that names the row', async (_, text) => {
    const { status, json } = await http.post('/v1/features', `{"features":["velocity"],"rows":[{"user_id":"a"},{"user_id":${text}}]}`)
    expect([status, json.error.code]).toEqual([422, 'invalid_key'])
    expect(json.error.message).toStartWith('Row 1: User.user_id: ')
  })
})
