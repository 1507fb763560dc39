/** "fabra/client" as the npm package has it, against a server. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clientScript } from '../../scripts/release-parts/npm.ts'
import type * as Library from '../../src/fabra-client.d.ts'
import { temporaryFolder } from '../support/binary.ts'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'
import { fail, NO_ROW } from '../support/programmable-executor.ts'

/** What a feature file would export, as far as the client's types look. */
interface One<V, K, I = Record<never, never>, C = never> {
  readonly kind: 'feature'
  readonly '~feature'?: { readonly value: V; readonly shape: { readonly key: K; readonly inputs: I; readonly columns: C } }
}
interface Definitions {
  readonly count: One<number | bigint, string>
  readonly spend: One<
    { total: number | null; avg: number | null },
    string,
    Record<never, never>,
    { total: number | null; avg: number | null }
  >
  readonly broken: One<unknown, string>
  readonly gone: One<unknown, string>
  readonly echo: One<unknown, string, { amount: unknown }>
  readonly score: One<number, { user_id: string; merchant_id: string }>
  readonly User: { readonly kind: 'entity' }
  readonly lone: { readonly kind: 'feature_set' }
}

let folder: string
let http: HttpBench
let library: typeof Library
let fabra: Library.Client<Definitions>
beforeAll(async () => {
  folder = temporaryFolder()
  const script = await clientScript()
  expect(script.length).toBeLessThan(3 * 1024)
  writeFileSync(join(folder, 'client.mjs'), script)
  library = await import(join(folder, 'client.mjs'))
  http = await openHttpBench({
    entities: { User: { user_id: 'string' }, Pair: { user_id: 'string', merchant_id: 'string' } },
    features: {
      count: { type: 'int' },
      spend: { columns: { total: 'float', avg: 'float' } },
      broken: {},
      gone: {},
      echo: { kind: 'function', refresh: 0, inputs: { amount: 'json' } },
      score: { entity: 'Pair', kind: 'pushed', type: 'float' },
    },
    featureSets: { lone: ['count'] },
  })
  const { programme } = http.bench
  programme.set('count', () => 9007199254740993n)
  programme.set('spend', () => ({ total: 120.5, avg: null }))
  programme.set('broken', fail)
  programme.set('gone', () => NO_ROW)
  programme.set('echo', (call) => call.inputs['amount'])
  fabra = library.createClient<Definitions>({ url: `${http.server.url}/` })
})
afterAll(async () => {
  await http.close()
  rmSync(folder, { recursive: true, force: true })
})

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'it did not fail',
    (error: Library.FabraError) => ({ code: error.code, status: error.status, hint: error.hint }),
  )

test('reads one and many, with exact values, statuses and ages', async () => {
  expect(await fabra.feature('count', 'é/1')).toMatchObject({ value: 9007199254740993n, status: 'fresh', servedFrom: 'computed', ageMs: 0 })
  expect((await fabra.feature('spend', 'u1')).value).toEqual({ total: 120.5, avg: null })
  expect(await fabra.feature('gone', 'u1')).toMatchObject({ value: null, status: 'missing', ageMs: null, eventTimestamp: null })
  expect((await fabra.feature('echo', 'u1', { inputs: { amount: 2n ** 60n } })).value).toBe(2n ** 60n)
  const rows = await fabra.features(['spend.total', 'broken'], ['u1', { entity_id: 'u2' }])
  expect(rows.map(({ entity, values, statuses }) => ({ entity, values, statuses }))).toEqual(
    ['u1', 'u2'].map((user_id) => ({
      entity: { user_id },
      values: { 'spend.total': 120.5, broken: null },
      statuses: { 'spend.total': 'fresh', broken: 'error' },
    })),
  )
  expect(rows[1]?.errors.broken).toBeInstanceOf(library.FabraError)
  expect((await fabra.features('lone', ['u1']))[0]?.values.count).toBe(9007199254740993n)
})

test('pushes and forgets', async () => {
  const key = { user_id: 'a&b', merchant_id: '-' }
  expect(await fabra.push('score', [{ ...key, value: 0.5 }])).toMatchObject({ accepted: 1 })
  expect((await fabra.feature('score', key)).value).toBe(0.5)
  await fabra.push('score', [{ ...key, delete: true }])
  expect((await fabra.feature('score', key)).status).toBe('missing')
  expect(await fabra.forget('User', 'u1/2?')).toMatchObject({ sources_untouched: [] })
})

test('errors have code, status and hint; without an answer, too', async () => {
  const untyped = fabra as unknown as { feature(name: string, key: unknown, options?: object): Promise<unknown> }
  expect(await failure(untyped.feature('cuont', 'u1'))).toEqual({ code: 'unknown_feature', status: 404, hint: 'Did you mean "count"?' })
  expect(await failure(fabra.feature('broken', 'u1'))).toMatchObject({ code: 'feature_failed' })
  expect(await failure(library.createClient<Definitions>({ url: 'http://127.0.0.1:1', retries: 1 }).feature('count', 'u1'))).toMatchObject({
    code: 'server_unreachable',
    status: 0,
  })
  const never = library.createClient<Definitions>({
    url: 'http://x',
    timeoutMs: 20,
    fetch: (_, { signal }) => new Promise((_, reject) => signal?.addEventListener('abort', reject)),
  })
  expect(await failure(never.feature('count', 'u1'))).toMatchObject({ code: 'deadline_exceeded' })
})

test('reads are sent again where the server is busy, writes never, nothing beyond the deadline', async () => {
  const busy = (retryAfter: string) =>
    new Response('{"error":{"code":"overloaded","message":"Busy."}}', { status: 503, headers: { 'retry-after': retryAfter } })
  const seen: string[] = []
  const client = (retryAfter: string) =>
    library.createClient<Definitions>({
      url: http.server.url,
      fetch: (address, init) => {
        seen.push(String(init.method))
        return seen.length < 3 ? Promise.resolve(busy(retryAfter)) : fetch(address, init)
      },
    })
  expect((await client('0').feature('count', 'u1')).value).toBe(9007199254740993n)
  expect(seen.splice(0)).toEqual(['POST', 'POST', 'POST'])
  expect(await failure(client('0').push('score', [{ user_id: 'u', merchant_id: 'm', value: 1 }]))).toMatchObject({ code: 'overloaded' })
  expect(await failure(client('3600').feature('count', 'u1'))).toMatchObject({ code: 'overloaded', status: 503 })
  expect(seen).toHaveLength(2)
})
