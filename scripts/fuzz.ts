/** Lets schemathesis ask every route, with an API key, and looks for secrets in all that came back and was logged. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startFabra, temporaryFolder } from '../test/support/binary.ts'
import { startProduction } from '../test/support/production.ts'

const { values, positionals } = parseArgs({ options: { production: { type: 'boolean' } }, allowPositionals: true })
const minutes = Number(positionals[0] ?? 1)
if (!(minutes > 0)) throw new Error('Say for how many minutes: scripts/fuzz 5')

const FEATURES = `import { entity, feature, featureSet, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const Shop = entity('Shop', { key: { shop_id: 'int' } })
export const ev = source('ev', { timestamp: 't', columns: { user_id: 'text', v: 'double precision', t: 'timestamptz' } })
export const cnt = feature({ entity: User, refresh: '1h', sql: 'SELECT COUNT(*) FROM ev WHERE user_id = $user_id' })
export const last = feature({ entity: User, refresh: '1h', sql: 'SELECT v FROM ev WHERE user_id = $user_id ORDER BY t DESC LIMIT 1' })
export const score = feature({ entity: User, type: 'float' })
export const pair = feature({ entity: Shop, columns: { low: 'int', high: 'int' } })
export const fn = feature({ entity: User, refresh: 0, type: 'json' }, async (user, { get }) => ({ user, count: await get(cnt) }))
export const sum = feature({ entity: User, refresh: 0, type: 'float', inputs: { amount: 'float' } }, async (_, { inputs }) => inputs.amount + 1)
export const fails = feature({ entity: User, refresh: 0, type: 'int' }, async () => { throw new Error('It broke.') })
export const both = featureSet('both', [cnt, score])
`
const KEY = 'fab_canary_of_the_key'
const CANARIES = { FABRA_WEBHOOK_SECRET: 'canary-of-the-secret', FABRA_WEBHOOK_URL: 'http://canary-user:canary-password@127.0.0.1:9/hook' }
/** What a description can be held to. Of requests that it allows some are refused all the same: two ways to say one thing, a day that is none. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'unsupported_method',
]

/**
 * What a feature or a store could not answer is told with a code, as the description says: whether it is so is another check. A fault of the server
 * itself is none of these.
 */
const SETTINGS = `[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 503, 504]
`

/** What there is: of names made up at random no route has more to say than that there is no such thing. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  name: ['cnt', 'last', 'score', 'pair', 'fn', 'sum', 'fails', 'both', 'ev'],
  feature: ['cnt', 'score', 'fails'],
  features: ['cnt', 'score,last', 'both', 'fn,fails', 'pair.low'],
  entity: ['User', 'Shop'],
  entity_id: ['u1', 'u2', '7'],
  user_id: ['u1'],
  id: ['u1', '7'],
}

interface Description {
  readonly paths: Record<string, Record<string, { parameters?: { name: string; schema: object }[] }>>
}

function withNames(described: Description): Description {
  for (const operations of Object.values(described.paths))
    for (const { parameters = [] } of Object.values(operations))
      for (const one of parameters) {
        const names = NAMES[one.name]
        if (names) one.schema = { anyOf: [{ enum: names }, one.schema] }
      }
  return described
}

const folder = temporaryFolder()
await using servers = values.production ? await startProduction() : null
writeFileSync(join(folder, 'features.ts'), FEATURES)
const hash = new Bun.CryptoHasher('sha256').update(KEY).digest('hex')
const fabra = await startFabra({
  cwd: folder,
  file: 'features.ts',
  env: { ...(await servers?.fresh()), ...CANARIES, FABRA_API_KEYS: `${hash}:read+write+train+admin`, FABRA_LOG_LEVEL: 'debug' },
})
const failures: string[] = []
try {
  const auth = { 'x-api-key': KEY }
  const row = { user_id: 'u1', v: 1, t: '2026-01-01T00:00:00Z' }
  await fetch(`${fabra.url}/v1/sources/ev/rows`, { method: 'POST', headers: auth, body: JSON.stringify({ rows: [row] }) })
  const described = (await (await fetch(`${fabra.url}/openapi.json`, { headers: auth })).json()) as Description
  writeFileSync(join(folder, 'schemathesis.toml'), SETTINGS)
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(withNames(described)))
  const cassette = join(folder, 'cassette.yaml')
  const run = Bun.spawn(
    [
      resolve(import.meta.dir, '../.bun/fuzz/bin/schemathesis'),
      ...['run', join(folder, 'openapi.json'), '--url', fabra.url, '-H', `X-API-Key: ${KEY}`],
      ...['--checks', CHECKS.join(','), '--continue-on-failure', '--max-time', String(Math.ceil(minutes * 60))],
      ...['--report', 'vcr', '--report-vcr-path', cassette, '--output-sanitize', 'false'],
    ],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  if ((await run.exited) !== 0) failures.push('schemathesis found what is told above')
  // The report begins with its own command, and keeps the key of each request alone on its line.
  const answered = readFileSync(cassette, 'utf8').replaceAll(/^command: .*$|^\s*- ['"]?fab_canary_of_the_key['"]?$/gm, '')
  const said = answered + fabra.stdout() + fabra.stderr()
  for (const secret of [KEY, ...Object.values(CANARIES), 'canary-password'])
    if (said.includes(secret)) failures.push(`"${secret}" is in what was answered or logged`)
  if ((await fetch(`${fabra.url}/health`)).status !== 200) failures.push('the server does not answer any more')
} finally {
  await fabra.stop()
  rmSync(folder, { recursive: true, force: true })
}
for (const failure of failures) console.error(`fuzz: ${failure}`)
console.log(failures.length === 0 ? 'Nothing was found.' : `${failures.length} failed.`)
process.exit(failures.length === 0 ? 0 : 1)
