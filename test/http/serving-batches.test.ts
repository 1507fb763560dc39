import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { tableFromIPC } from 'apache-arrow'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'
import { fail, NO_ROW } from '../support/programmable-executor.ts'

let http: HttpBench
beforeAll(async () => {
  http = await openHttpBench({
    entities: { User: { user_id: 'string' }, Account: { account_id: 'int' } },
    features: {
      count: { type: 'int' },
      spend: { columns: { total_30d: 'float', avg_30d: 'float' } },
      broken: {},
      gone: {},
      segment: { type: 'string', default: 'regular' },
      echo: { kind: 'function', refresh: 0, inputs: { amount: 'json' } },
      needs: { kind: 'function', refresh: 0, inputs: { price: 'int' } },
      balance: { entity: 'Account', type: 'int' },
    },
    featureSets: { fraud_v1: ['count', 'spend'], lone: ['count'] },
  })
  const { programme } = http.bench
  programme.set('count', () => 47)
  programme.set('spend', () => ({ total_30d: 120.5, avg_30d: null }))
  programme.set('broken', fail)
  programme.set('gone', () => NO_ROW)
  programme.set('segment', () => NO_ROW)
  programme.set('echo', (call) => call.inputs['amount'])
})
afterAll(() => http.close())

describe('POST /v1/features', () => {
  test('answers exactly as documented', async () => {
    const body = { features: ['count', 'spend'], rows: [{ user_id: 'u1' }, { user_id: 'u2' }], max_age: '10m' }
    const computed = '["computed","computed","computed"],"freshness_ms":[0,0,0]}'
    const row = (id: string, from: string) =>
      `{"entity":{"user_id":"${id}"},"values":[47,120.5,null],"statuses":["fresh","fresh","fresh"],"served_from":${from}`
    expect((await http.post('/v1/features', body)).text).toBe(
      `{"features":["count","spend.total_30d","spend.avg_30d"],"results":[${row('u1', computed)},${row('u2', computed)}]}\n`,
    )
    http.bench.clock.advance('400s')
    const stale = await http.post('/v1/features', { feature_set: 'fraud_v1', rows: [{ user_id: 'u1' }] })
    expect(stale.json).toEqual({
      features: ['count', 'spend.total_30d', 'spend.avg_30d'],
      results: [
        {
          entity: { user_id: 'u1' },
          values: [47, 120.5, null],
          statuses: ['stale', 'stale', 'stale'],
          served_from: ['online', 'online', 'online'],
          freshness_ms: [400_000, 400_000, 400_000],
        },
      ],
    })
  })

  test('max_age bounds the age of every value', async () => {
    const body = { features: ['count', 'segment'], rows: [{ user_id: 'aged' }] }
    await http.post('/v1/features', body)
    http.bench.clock.advance('31s')
    const bounded = (max_age: string) => http.post('/v1/features', { ...body, max_age })
    expect((await bounded('31s')).json.results).toMatchObject([{ served_from: ['online', 'default'], freshness_ms: [31_000, null] }])
    expect((await bounded('30s')).json.results).toMatchObject([{ served_from: ['computed', 'default'], freshness_ms: [0, null] }])
  })

  test('one failing feature does not fail its neighbours, and is explained with its row', async () => {
    const rows = [{ user_id: 'n1' }, { user_id: 'n2' }]
    const { status, json } = await http.post('/v1/features', { features: ['count', 'broken', 'gone', 'segment'], rows })
    expect(status).toBe(200)
    expect(json.results.map((one: { statuses: string[] }) => one.statuses)).toEqual([
      ['fresh', 'error', 'missing', 'default'],
      ['fresh', 'error', 'missing', 'default'],
    ])
    expect(json.results[0].values).toEqual([47, null, null, 'regular'])
    expect(json.results[0].served_from.slice(1)).toEqual([null, null, 'default'])
    expect(json.results[0].freshness_ms.slice(1)).toEqual([null, null, null])
    expect(json.errors).toEqual([
      { row: 0, feature: 'broken', code: 'feature_failed', message: 'It failed as feature_failed.', hint: 'Mend it.' },
      { row: 1, feature: 'broken', code: 'feature_failed', message: 'It failed as feature_failed.', hint: 'Mend it.' },
    ])
  })

  test('one result per row, in order, duplicates kept; none for none', async () => {
    const ids = ['b', 'a', 'b', 'c', 'a']
    const { json } = await http.post('/v1/features', { features: ['count', 'count'], rows: ids.map((user_id) => ({ user_id })) })
    expect(json.results.map((one: { entity: { user_id: string } }) => one.entity.user_id)).toEqual(ids)
    expect(json.results.every((one: { values: number[] }) => one.values.join() === '47,47')).toBe(true)
    expect((await http.post('/v1/features', { features: ['count'], rows: [] })).text).toBe('{"features":["count"],"results":[]}\n')
  })

  test('rows of several entities hold the key columns of each', async () => {
    http.bench.programme.set('balance', () => 1)
    const { json } = await http.post('/v1/features', { features: ['balance', 'count'], rows: [{ user_id: 'u', account_id: 7 }] })
    expect(json.results[0]).toMatchObject({ entity: { account_id: 7, user_id: 'u' }, values: [1, 47] })
    const lacking = await http.post('/v1/features', { features: ['balance', 'count'], rows: [{ user_id: 'u' }] })
    expect([lacking.status, lacking.json.error.message]).toEqual([422, 'Row 0: The row has no "account_id", a key column of Account.'])
  })

  test('integers beyond 2^53 are exact, in and out', async () => {
    http.bench.programme.set('balance', () => -9223372036854775808n)
    const text = '{"features":["balance"],"rows":[{"account_id":9007199254740993},{"account_id":"9007199254740992"}]}'
    const answer = await http.post('/v1/features', text)
    expect(answer.text).toContain('{"account_id":9007199254740993},"values":[-9223372036854775808]')
    expect(answer.text).toContain('{"account_id":9007199254740992},"values":[-9223372036854775808]')
    const echoed = await http.post('/v1/features', '{"features":["echo"],"rows":[{"user_id":"a","amount":[9007199254740995,"é"]}]}')
    expect(echoed.text).toContain('"values":[[9007199254740995,"é"]]')
  })

  test.each([
    ['', 'invalid_body', 'The body is empty.'],
    ['{', 'invalid_body', 'The body is not JSON: The JSON ends too early, at line 1, column 2.'],
    ['{"features":["count"],"rows":[}', 'invalid_body', 'The body is not JSON: "}" is no JSON, at line 1, column 31 (rows[0]).'],
    ['[]', 'invalid_body', 'The body is not a JSON object.'],
    ['null', 'invalid_body', 'The body is not a JSON object.'],
    ['"features"', 'invalid_body', 'The body is not a JSON object.'],
    ['{}', 'invalid_body', 'Neither "features" nor "feature_set" is given.'],
    ['{"features":["count"],"feature_set":"lone","rows":[]}', 'invalid_body', 'Both "features" and "feature_set" are given.'],
    ['{"features":[],"rows":[]}', 'invalid_body', '"features" is empty.'],
    ['{"features":"count","rows":[]}', 'invalid_body', '"features" is not a list of names.'],
    ['{"features":[1],"rows":[]}', 'invalid_body', '"features" is not a list of names.'],
    ['{"feature_set":7,"rows":[]}', 'invalid_body', '"feature_set" is not a name.'],
    ['{"features":["count"]}', 'invalid_body', '"rows" is not a list.'],
    ['{"features":["count"],"rows":{"user_id":"a"}}', 'invalid_body', '"rows" is not a list.'],
    ['{"features":["count"],"rows":[],"rowss":[]}', 'invalid_body', 'Unknown field "rowss" in the body.'],
    ['{"features":["count"],"rows":[],"__proto__":1}', 'invalid_body', 'Unknown field "__proto__" in the body.'],
    ['{"features":["count"],"rows":[],"max_age":"soon"}', 'invalid_input', 'max_age is not a duration: "soon".'],
    ['{"features":["count"],"rows":[],"max_age":5}', 'invalid_input', 'max_age is not a duration: 5.'],
    ['{"features":["count"],"rows":[{"user_id":"a"},[]]}', 'invalid_body', 'Row 1 is not an object.'],
    ['{"features":["count"],"rows":[{"user_id":"a"},null]}', 'invalid_body', 'Row 1 is not an object.'],
    ['{"features":["count"],"rows":[{}]}', 'invalid_key', 'Row 0: The row has no "user_id", a key column of User.'],
    [
      '{"features":["count"],"rows":[{"user_id":"a"},{"user_id":"b","x":1}]}',
      'invalid_key',
      'Row 1: "x" is neither a key column nor an input of the features asked for.',
    ],
    [
      '{"features":["count"],"rows":[{"user_id":"a","__proto__":1}]}',
      'invalid_key',
      'Row 0: "__proto__" is neither a key column nor an input of the features asked for.',
    ],
    ['{"features":["needs"],"rows":[{"user_id":"a"}]}', 'invalid_input', 'Row 0: The input "price" (int) is missing.'],
    [
      '{"features":["needs"],"rows":[{"user_id":"a","price":"7"}]}',
      'invalid_input',
      'Row 0: The input "price": expected int, got the string "7".',
    ],
  ])('%s is a 422: %s', async (body, code, message) => {
    const { status, json } = await http.post('/v1/features', body)
    expect([status, json.error.code, json.error.message]).toEqual([422, code, message])
    expect(json.error.hint).toBeString()
  })

  test('unknown names are a 404 for the whole call', async () => {
    const feature = await http.post('/v1/features', { features: ['count', 'spendd'], rows: [{ user_id: 'a' }] })
    expect([feature.status, feature.json.error.code, feature.json.error.hint]).toEqual([404, 'unknown_feature', 'Did you mean "spend"?'])
    const set = await http.post('/v1/features', { feature_set: 'fraud_v2', rows: [] })
    expect([set.status, set.json.error.code, set.json.error.hint]).toEqual([404, 'unknown_feature_set', 'Did you mean "fraud_v1"?'])
  })

  test('too many rows or features are a 422, too many bytes a 413', async () => {
    const rows = Array.from({ length: 10_001 }, () => ({ user_id: 'a' }))
    expect((await http.post('/v1/features', { features: ['count'], rows })).json.error.message).toBe('"rows" has 10001 rows.')
    const features = Array.from({ length: 1_001 }, () => 'count')
    expect((await http.post('/v1/features', { features, rows: [] })).json.error.message).toBe('"features" has 1001 names.')
    for (const megabytes of [9, 17, 40]) {
      const big = await http.post('/v1/features', { features: ['count'], rows: [{ user_id: 'x'.repeat(megabytes * 1024 * 1024) }] })
      expect([big.status, big.json.error.code]).toEqual([413, 'body_too_large'])
    }
  })

  test('a body sent in pieces is bounded too', async () => {
    const piece = new TextEncoder().encode('x'.repeat(1024 * 1024))
    let left = 20
    const body = new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(piece)
        else controller.close()
      },
    })
    const { status, json } = await http.send('/v1/features', { method: 'POST', body })
    expect([status, json.error.code]).toEqual([413, 'body_too_large'])
  })

  test('nesting without end is not JSON, and does not end the server', async () => {
    const { status } = await http.post('/v1/features', `{"features":${'['.repeat(1_000_000)}`)
    expect(status).toBe(422)
  })
})

describe('GET /v1/entities/{entity}/{id}', () => {
  test('gives every feature of the key, each with its own status', async () => {
    const { json } = await http.get('/v1/entities/User/e1')
    expect(json.entity).toEqual({ user_id: 'e1' })
    const statuses = json.features.map((one: { feature: string; status: string }) => [one.feature, one.status])
    expect(statuses).toEqual([
      ['count', 'fresh'],
      ['spend', 'fresh'],
      ['broken', 'error'],
      ['gone', 'missing'],
      ['segment', 'default'],
      ['echo', 'missing'],
      ['needs', 'missing'],
    ])
    expect(json.features[1].value).toEqual({ total_30d: 120.5, avg_30d: null })
    expect(json.features[6].needs_inputs).toEqual(['price'])
  })

  test('an unknown entity is a 404, a wrong key a 422', async () => {
    const unknown = await http.get('/v1/entities/Usr/1')
    expect([unknown.status, unknown.json.error.hint]).toEqual([404, 'Did you mean "User"?'])
    expect((await http.get('/v1/entities/Account/x')).status).toBe(422)
  })
})

describe('POST /v1/features for clients that read tables', () => {
  test('tells types and times on request, and takes entity_id for the only key column', async () => {
    const body = { features: ['count', 'spend.avg_30d'], rows: [{ entity_id: 'd1' }], detailed: true }
    expect((await http.post('/v1/features', body)).json).toMatchObject({
      features: ['count', 'spend.avg_30d'],
      types: ['int', 'float'],
      results: [
        { entity: { user_id: 'd1' }, values: [47, null], event_timestamps: [expect.stringMatching(/Z$/), expect.stringMatching(/Z$/)] },
      ],
    })
    const refused = async (more: object) => (await http.post('/v1/features', { ...body, ...more })).json
    expect(await refused({ detailed: 'yes' })).toMatchObject({ error: { code: 'invalid_body' } })
    expect(await refused({ rows: [{ entity_id: 'd1', user_id: 'd1' }] })).toMatchObject({ error: { code: 'invalid_key' } })
    expect(await refused({ features: ['count', 'balance'] })).toMatchObject({
      error: { code: 'invalid_key', hint: 'Name them: user_id, account_id.' },
    })
  })

  test('answers with an Arrow table where the request accepts one', async () => {
    const response = await fetch(`${http.server.url}/v1/features`, {
      method: 'POST',
      headers: { accept: 'application/vnd.apache.arrow.stream' },
      body: JSON.stringify({ features: ['balance', 'count', 'broken', 'segment'], rows: [{ account_id: 7, user_id: 'é' }] }),
    })
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.arrow.stream')
    const table = tableFromIPC(await response.bytes())
    expect(table.schema.fields.slice(0, 7).map(({ name, type }) => `${name} ${type}`)).toEqual([
      'account_id Int64',
      'user_id Utf8',
      'balance Int64',
      'count Int64',
      'broken Utf8',
      'segment Utf8',
      'balance__status Utf8',
    ])
    expect(table.get(0)?.toJSON()).toMatchObject({
      account_id: 7n,
      user_id: 'é',
      count: 47n,
      broken: null,
      broken__status: 'error',
      segment: 'regular',
      segment__status: 'default',
      segment__freshness_ms: null,
    })
    expect(JSON.parse(table.schema.metadata.get('fabra') ?? '')).toMatchObject({
      types: { balance: 'int', broken: 'json', segment: 'string' },
      errors: expect.arrayContaining([expect.objectContaining({ row: 0, feature: 'broken', code: 'feature_failed' })]),
    })
  })
})
