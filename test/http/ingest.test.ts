import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'

let http: HttpBench

beforeAll(async () => {
  http = await openHttpBench({
    entities: { User: { user_id: 'string' }, Pair: { user_id: 'string', shop_id: 'int' } },
    features: {
      score: { kind: 'pushed', type: 'float' },
      spend: { kind: 'pushed', columns: { total: 'int', tags: 'list' } },
      rank: { entity: 'Pair', kind: 'pushed', type: 'int' },
      count: { refresh: '5m' },
    },
    featureSets: { all: ['score', 'spend'] },
  })
})
afterAll(() => http.close())

/** Every answer is held to what /openapi.json says of its route. */
const push = (feature: string, body: unknown) => http.post(`/v1/features/${feature}/values`, body)
const remove = (path: string) => http.send(`/v1/entities/${path}`, { method: 'DELETE' })

describe('pushing values', () => {
  test('answers with what was new, and the values are served', async () => {
    const text =
      '{"rows":[{"user_id":"u1","value":{"total":9007199254740993,"tags":["a"]},"event_timestamp":"2026-01-02T03:04:05.123456+00:00"}]}'
    expect((await push('spend', text)).json).toEqual({ accepted: 1, duplicates: 0, fenced: 0 })
    expect((await push('spend', text)).json).toEqual({ accepted: 0, duplicates: 1, fenced: 0 })
    const served = await http.get('/v1/features/spend?entity_id=u1')
    expect(served.text).toContain('"value":{"total":9007199254740993,"tags":["a"]}')
    expect(served.text).toContain('"event_timestamp":"2026-01-02T03:04:05.123456Z"')
    expect((await http.get('/v1/features/spend.total?entity_id=u1')).json.value).toBe(9007199254740993n)
  })

  test('with no rows is nothing', async () => {
    expect((await push('score', { rows: [] })).json).toEqual({ accepted: 0, duplicates: 0, fenced: 0 })
  })

  test('for several key columns names them all', async () => {
    expect((await push('rank', { rows: [{ user_id: 'u1', shop_id: 7, value: 1 }] })).status).toBe(200)
    expect((await http.get('/v1/features/rank?user_id=u1&shop_id=7')).json.value).toBe(1)
    const { status, json } = await push('rank', { rows: [{ user_id: 'u1', value: 1 }] })
    expect({ status, code: json.error.code }).toEqual({ status: 422, code: 'invalid_key' })
  })

  const wrong: [what: string, feature: string, body: unknown, status: number, code: string, says: string][] = [
    ['an unknown feature', 'scor', { rows: [] }, 404, 'unknown_feature', 'Did you mean "score"?'],
    ['a column of a feature', 'spend.total', { rows: [] }, 404, 'unknown_feature', 'values are pushed for "spend" as a whole'],
    ['a feature set', 'all', { rows: [] }, 404, 'unknown_feature', 'is a feature set'],
    ['no body', 'score', '', 422, 'invalid_body', 'The body is empty.'],
    ['a key twice', 'score', '{"rows":[{"user_id":"u1","value":1,"value":2}]}', 422, 'invalid_body', 'The key "value" is there twice'],
    ['no rows', 'score', {}, 422, 'invalid_body', '"rows" is not a list'],
    ['rows that are no list', 'score', { rows: { user_id: 'u1', value: 1 } }, 422, 'invalid_body', '"rows" is not a list'],
    ['an unknown field beside rows', 'score', { rows: [], row: 1 }, 422, 'invalid_body', 'Unknown field'],
    ['too many rows', 'score', { rows: new Array(10_001).fill({}) }, 422, 'invalid_body', 'At most 10000'],
    [
      'a wrong row',
      'score',
      {
        rows: [
          { user_id: 'u1', value: 1 },
          { user_id: 'u1', value: 'x' },
        ],
      },
      422,
      'invalid_value',
      'Row 1',
    ],
    [
      'a value of more than 64 KiB',
      'spend',
      { rows: [{ user_id: 'u1', value: { total: 1, tags: ['x'.repeat(70_000)] } }] },
      422,
      'invalid_value',
      'Row 0',
    ],
  ]
  test.each(wrong)('is refused for %s', async (_what, feature, body, status, code, says) => {
    const answer = await push(feature, body)
    expect({ status: answer.status, code: answer.json.error.code }).toEqual({ status, code })
    expect(`${answer.json.error.message} ${answer.json.error.hint}`).toContain(says)
  })
})

describe('forgetting a key', () => {
  test('answers with a receipt, twice the same but for the counts', async () => {
    await push('score', { rows: [{ user_id: 'gone', value: 1 }] })
    const first = await remove('User/gone')
    expect(first.json).toEqual({
      entity: { user_id: 'gone' },
      forgotten_at: expect.any(String),
      online_values: 1,
      history_rows: 1,
      sources_untouched: [],
    })
    expect((await remove('User/gone')).json).toMatchObject({ online_values: 0, history_rows: 0 })
    expect((await remove('User/never%20seen')).json).toMatchObject({ entity: { user_id: 'never seen' }, online_values: 0 })
    expect((await remove('Pair/-?user_id=u1&shop_id=007')).json.entity).toEqual({ user_id: 'u1', shop_id: 7 })
  })

  const wrong: [path: string, status: number, code: string][] = [
    ['Usr/u1', 404, 'unknown_entity'],
    ['Pair/u1', 422, 'invalid_key'],
    ['Pair/-?user_id=u1', 422, 'invalid_key'],
    ['Pair/-?user_id=u1&shop_id=x', 422, 'invalid_key'],
    ['Pair/-?user_id=u1&shop_id=1&shop_id=2', 422, 'invalid_key'],
    ['Pair/-?user_id=u1&shop_id=1&x=2', 422, 'invalid_key'],
    ['User/u1?x=1', 422, 'invalid_key'],
    ['User/%00', 422, 'invalid_key'],
  ]
  test.each(wrong)('is refused: %s', async (path, status, code) => {
    const answer = await remove(path)
    expect({ status: answer.status, code: answer.json.error.code }).toEqual({ status, code })
  })
})

test('rows for a source that is not there are refused with what there is', async () => {
  const { status, json } = await http.post('/v1/sources/events/rows', { rows: [] })
  expect({ status, code: json.error.code, hint: json.error.hint }).toEqual({
    status: 404,
    code: 'unknown_source',
    hint: 'There are none yet.',
  })
})
