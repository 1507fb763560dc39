/** Odd values on their whole way: computed, kept online, recorded, restarted from history, sent, and parsed. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openComputeBench } from '../support/compute-bench.ts'
import { type RealApp, realApp } from '../support/real-app.ts'
import { failures, functionValues, type OddValue, sqlValues } from './odd-values.ts'

const values: readonly [name: string, odd: OddValue][] = Object.entries({ ...sqlValues, ...functionValues })
const idOf = (name: string) => `v${values.findIndex(([candidate]) => candidate === name)}`
const KEY = 'user_id=%F0%9F%99%82%20a%3Ab'

let app: RealApp
/** What each feature sent the first time. */
const first = new Map<string, Answer>()

beforeAll(async () => {
  const features = values.map(([name, odd]) => featureText(idOf(name), odd))
  const failing = Object.values(failures).map((odd, i) => featureText(`e${i}`, odd))
  app = await realApp({
    'features.ts': `import { entity, feature } from 'fabra'\nexport const User = entity('User', { key: 'user_id' })\n${[...features, ...failing].join('\n')}\n`,
  })
})
afterAll(() => app[Symbol.asyncDispose]())

function featureText(id: string, { sql, code, type }: OddValue): string {
  const options = `entity: User, refresh: '1h'${type ? `, type: '${type}'` : ''}`
  if (code !== undefined) return `export const ${id} = feature({ ${options} }, () => ${code})`
  return `export const ${id} = feature({ ${options}, sql: ${JSON.stringify(sql)} })`
}

interface Answer {
  readonly text: string
  readonly status: string
  readonly servedFrom: string | null
  readonly eventAt: string
}

/** The value's own text, as it stands in the body. */
async function ask(id: string): Promise<Answer> {
  const { status, text } = await app.get(`/v1/features/${id}?${KEY}`)
  const found = /"value":(.*),"status":"(\w+)","served_from":"?(\w+)"?,"freshness_ms":\w+,"event_timestamp":"?([^"]*)"?\}\n$/s.exec(text)
  if (status !== 200 || !found) throw new Error(text.slice(0, 500))
  JSON.parse(text)
  return { text: found[1] ?? '', status: found[2] ?? '', servedFrom: found[3] ?? null, eventAt: found[4] ?? '' }
}

async function recorded(id: string): Promise<string> {
  const { text } = await app.get(`/v1/features/${id}/history?${KEY}`)
  return /"history":\[\{(.*?),"event_timestamp":"[^"]*","available_at"/s.exec(text)?.[1] ?? text.slice(-200)
}

/** Long texts are compared whole but shown in part. */
const shown = (text: string) => (text.length > 200 ? `${text.slice(0, 60)}… ${text.length} ${Bun.hash(text)}` : text)

describe('a value', () => {
  test('there are at least forty', () => expect(values.length).toBeGreaterThanOrEqual(40))

  test.each(values)('%s is computed, kept, recorded and sent as it is', async (name, { text, missing }) => {
    const id = idOf(name)
    const computed = await ask(id)
    first.set(id, computed)
    expect(computed).toMatchObject({ status: missing ? 'missing' : 'fresh', servedFrom: missing ? 'null' : 'computed' })
    expect(shown(computed.text)).toBe(shown(text))
    const kept = await ask(id)
    expect(kept).toEqual({ ...computed, servedFrom: missing ? 'null' : 'online' })
    expect(shown(await recorded(id))).toBe(missing ? '"missing":true' : shown(`"value":${text}`))
  })

  test('all of them are sent as they are in one batch', async () => {
    const features = values.map(([name]) => idOf(name))
    const { status, text } = await app.post('/v1/features', { features, rows: [{ user_id: '🙂 a:b' }] })
    expect(status).toBe(200)
    const wanted = `"values":[${values.map(([, odd]) => odd.text).join(',')}],"statuses"`
    expect(text.includes(wanted)).toBe(true)
  })

  test('all of them are the same, and as old, after a restart', async () => {
    await app.restart()
    for (const [name, { missing }] of values) {
      const before = first.get(idOf(name))
      const after = await ask(idOf(name))
      expect({ name, ...after, text: shown(after.text) }).toEqual({
        name,
        status: before?.status ?? '',
        servedFrom: missing ? 'null' : 'online',
        eventAt: before?.eventAt ?? '',
        text: shown(before?.text ?? ''),
      })
    }
  })
})

describe('what cannot be a value is an error, and is not stored', () => {
  test.each(Object.entries(failures).map(([name, odd], i) => ({ name, odd, id: `e${i}` })))('$name', async ({ odd, id }) => {
    const { status, text } = await app.get(`/v1/features/${id}?${KEY}`)
    const { error } = JSON.parse(text)
    expect({ status, code: error.code }).toEqual({ status: odd.status ?? 0, code: odd.text })
    expect(error.message).toContain(id)
    const history = await app.get(`/v1/features/${id}/history?${KEY}`)
    expect(JSON.parse(history.text)).toMatchObject({ history: [] })
  })
})

test('a value that the driver cannot give is an error answer, alone, in a set and deep inside', async () => {
  const bench = await openComputeBench(1)
  const features = { plain: "SELECT {'__proto__': 6} AS v", deep: "SELECT [{'a': {'__proto__': 6}}] AS v" }
  const { ask } = await bench.define({ features })
  for (const name of Object.keys(features)) {
    expect(await ask(name, [['a', 9]])).toEqual(['wrong_type'])
    expect(
      await ask(name, [
        ['a', 9],
        ['b', 9],
      ]),
    ).toEqual(['wrong_type', 'wrong_type'])
  }
  await bench.store.close()
})
