/** A laptop's data folder that one release left behind in a crash, opened by another: it gives the same answers, or says that it is of a newer one. */
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RunningFabra, runFabra, startFabra, temporaryFolder } from '../../test/support/binary.ts'
import { until } from '../../test/support/until.ts'
import type { Problems } from '../soak-parts/client.ts'

type Release = 'previous' | 'this'

const FEATURES = `import { entity, feature, source } from 'fabra'
const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'at', columns: { user_id: 'VARCHAR', at: 'TIMESTAMP' } })
export const score = feature({ entity: User, type: 'float' })
export const seen = feature({ entity: User, refresh: '1d', type: 'int', timeout: '20s', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
`
const KEYS = ['u0', 'u1', 'u2', 'ü "3"', 'never']
const LABELLED_AT = '2026-01-20T00:00:00Z'
const NEWER = /schema_mismatch|newer/

/** @returns what came of it. */
export async function upgradeFolder(binaries: Readonly<Record<Release, string>>, problems: Problems): Promise<readonly string[]> {
  const said: string[] = []
  for (const [writer, reader] of [['previous', 'this'] as const, ['this', 'previous'] as const]) {
    const cwd = temporaryFolder()
    try {
      writeFileSync(join(cwd, 'features.ts'), FEATURES)
      said.push(await handOver(cwd, { writer, reader, binaries, problems }))
    } catch (error) {
      problems.add('failure', `a folder of the ${writer} release: ${error}`)
    } finally {
      rmSync(cwd, { recursive: true, force: true })
    }
  }
  return said
}

interface HandOver {
  readonly writer: Release
  readonly reader: Release
  readonly binaries: Readonly<Record<Release, string>>
  readonly problems: Problems
}

async function handOver(cwd: string, { writer, reader, binaries, problems }: HandOver): Promise<string> {
  const what = `a folder of the ${writer} release, opened by the ${reader === 'this' ? 'new' : 'old'} one`
  const start = (version: Release) => startFabra({ cwd, file: 'features.ts', binary: binaries[version] })
  const first = await start(writer)
  await fill(first)
  const answers = await answersOf(first)
  await first.kill()
  cpSync(join(cwd, '.fabra'), join(cwd, 'before'), { recursive: true })

  const refused = await start(reader).then(
    (server) => server,
    (error: Error) => error,
  )
  if (refused instanceof Error) {
    if (reader === 'this') problems.add('a folder that cannot be opened', `${what}: ${refused.message}`)
    if (!NEWER.test(refused.message)) problems.add('a refusal that does not say why', `${what}: ${refused.message}`)
  } else await compare(refused, answers, what, problems)
  // Whatever the other did, the writer goes on.
  await compare(await start(writer), answers, `${what}, and then by its own again`, problems)
  const doctor = await runFabra(['doctor', 'features.ts'], { cwd, binary: binaries[writer] })
  if (/damage|corrupt/i.test(doctor.stdout)) problems.add('a damaged folder', `${what}: ${doctor.stdout}`)
  return `${what}: ${refused instanceof Error ? `refused: ${/error [^\n]*/.exec(refused.message)?.[0] ?? refused.message}` : 'the same answers'}`
}

async function compare(server: RunningFabra, answers: unknown, what: string, problems: Problems): Promise<void> {
  const found = await answersOf(server)
  await server.stop()
  if (!Bun.deepEquals(found, answers))
    problems.add('other answers', `${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(answers)}`)
}

async function fill(server: RunningFabra): Promise<void> {
  const days = (n: number) => `2026-01-${String(n).padStart(2, '0')}T00:00:00Z`
  const rows = KEYS.slice(0, 4).flatMap((user_id, i) =>
    [1, 2, 3].map((n) => ({ user_id, value: (n * 10 + i) / 3, event_timestamp: days(n) })),
  )
  await ask(server, '/v1/features/score/values', 'POST', { rows })
  await ask(server, '/v1/sources/events/rows', 'POST', { rows: KEYS.slice(0, 3).map((user_id, i) => ({ user_id, at: days(i + 1) })) })
  await ask(server, '/v1/features/score/values', 'POST', { rows: [{ user_id: 'u0', delete: true, event_timestamp: days(9) }] })
  await ask(server, '/v1/entities/User/u1', 'DELETE')
  await ask(server, '/v1/features/seen/refresh', 'POST', { rows: KEYS.map((user_id) => ({ user_id })) })
  await until('computed values in history', 60_000, async () =>
    ((await history(server, 'seen', 'never')) as readonly unknown[]).length > 0 ? true : undefined,
  )
}

/** All that stays as it was: latest values, history, training sets by record and anew. */
async function answersOf(server: RunningFabra): Promise<unknown> {
  const read = (await ask(server, '/v1/features', 'POST', {
    ...{ features: ['score', 'seen'], rows: KEYS.map((user_id) => ({ user_id })) },
  })) as { readonly results: readonly { readonly values: unknown; readonly statuses: unknown }[] }
  const labels = KEYS.map((user_id) => ({ user_id, event_timestamp: LABELLED_AT }))
  const trained = (await ask(server, '/v1/training-sets?limit=50', 'POST', { features: ['score', 'seen'], rows: labels })) as {
    readonly preview: unknown
  }
  const pushed = await Promise.all(KEYS.map((key) => history(server, 'score', key)))
  // Whoever starts computes anew in his own time; what was computed first is still there.
  const first = await Promise.all(KEYS.map(async (key) => ((await history(server, 'seen', key)) as readonly unknown[]).at(-1)))
  return { values: read.results.map(({ values, statuses }) => ({ values, statuses })), trained: trained.preview, pushed, first }
}

async function history(server: RunningFabra, feature: string, key: string): Promise<unknown> {
  const answer = await ask(server, `/v1/features/${feature}/history?entity_id=${encodeURIComponent(key)}`, 'GET')
  return (answer as { readonly history: unknown }).history
}

async function ask(server: RunningFabra, path: string, method: string, body?: object): Promise<unknown> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  return response.json()
}
