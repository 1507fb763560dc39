import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'

const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const events = source("events", { timestamp: "created_at", columns: { user_id: "text", amount: "int", created_at: "timestamptz" } });
export const counted = feature({ entity: User, refresh: "5m", type: "int",
  sql: "SELECT COUNT(*) FROM events WHERE user_id = $user_id" });
export const last = feature({ entity: User, refresh: "5m", type: "int", default: -1,
  sql: "SELECT amount FROM events WHERE user_id = $user_id ORDER BY created_at DESC LIMIT 1" });
export const mean = feature({ entity: User, refresh: "5m", columns: { low: "int", none: "int" },
  sql: "SELECT MIN(amount) AS low, CAST(NULL AS int) AS none FROM events WHERE user_id = $user_id" });
export const score = feature({ entity: User, type: "float" });
export const absent = feature({ entity: User, type: "float", default: 0.5 });
export const doubled = feature({ entity: User, refresh: 0, type: "int" },
  async (user, { get }) => user === "0002" ? null : 2 * ((await get("counted")) ?? 0));
`
interface Report {
  readonly summary: readonly Record<string, unknown>[]
  readonly warnings: readonly { subject: string; message: string; hint: string }[]
  readonly pace: unknown
}

let servers: ProductionServers
beforeAll(async () => {
  servers = await startProduction()
}, 180_000)
afterAll(() => servers[Symbol.asyncDispose]())

for (const [where, environment] of [
  ['on the laptop', async () => ({})],
  ['with PostgreSQL and Redis', () => servers.fresh()],
] as const) {
  describe(`${where}, a training set ends with`, () => {
    let project: ProjectFolder
    let app: App
    let given: Readonly<Record<string, string>>
    beforeAll(async () => {
      project = projectFolder({ 'features.ts': FEATURES })
      given = await environment()
      const quiet = () => undefined
      app = await openApp({
        files: [join(project.path, 'features.ts')],
        config: readConfig({ FABRA_LOG_LEVEL: 'silent', ...given }, { cwd: project.path, terminal: false }),
        log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
        clockOffset: 0,
      })
      const event = (user_id: string, amount: number | null) => ({ user_id, amount, created_at: '2026-01-01T00:00:00Z' })
      await post('/v1/sources/events/rows', { rows: [event('0001', 7), event('0001', 9), event('0002', null)] })
      await post('/v1/features/score/values', { rows: [{ user_id: '0001', value: 0.25, event_timestamp: '2026-01-01T00:00:00Z' }] })
    }, 180_000)
    afterAll(async () => {
      await app.close()
      project[Symbol.dispose]()
    })

    async function post(path: string, body: unknown): Promise<Response> {
      const response = await app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body: JSON.stringify(body) }))
      expect(response.status, await response.clone().text()).toBe(200)
      return response
    }

    async function reportOf(features: string[], labels: string, more: Record<string, unknown> = {}): Promise<Report> {
      const id = crypto.randomUUID()
      const query = new URLSearchParams({ features: features.join(','), ...(more as Record<string, string>) })
      const request = new Request(`http://localhost/v1/training-sets?${query}`, {
        method: 'POST',
        body: labels,
        headers: { 'x-request-id': id },
      })
      const response = await app.fetch(request)
      expect(response.status, await response.clone().text()).toBe(200)
      await response.arrayBuffer()
      return (await (await app.fetch(new Request(`http://localhost/v1/training-sets/${id}`))).json()) as Report
    }

    async function explained(features: string): Promise<{ warnings: unknown[] }> {
      const request = new Request(`http://localhost/v1/training-sets?features=${features}&explain=true`, { method: 'POST', body: '' })
      const response = await app.fetch(request)
      expect(response.status, await response.clone().text()).toBe(200)
      return (await response.json()) as { warnings: unknown[] }
    }

    const JUNE = '2026-06-01T00:00:00Z'
    const csv = (...keys: string[]) => `user_id,event_timestamp\n${keys.map((key) => `${key},${JUNE}\n`).join('')}`
    const all = ['counted', 'last', 'mean', 'score', 'absent', 'doubled']
    const warningTexts = ({ warnings }: Report) =>
      warnings.filter(({ subject }) => !subject.startsWith('source ')).map(({ subject, message }) => `${subject} ${message}`)

    test('the values, nulls, defaults and missing of every column, by its method, and never a row too many', async () => {
      const { summary, pace } = await reportOf(all, csv('0001', '0002', '0009', '0001'))
      expect(pace).toBeNull()
      expect(
        summary.map(({ column, method, values, null: none, default: other, missing }) => [column, method, values, none, other, missing]),
      ).toEqual([
        ['counted', 'recompute', 4, 0, 0, 0],
        ['last', 'recompute', 2, 1, 1, 0],
        ['mean.low', 'recompute', 2, 2, 0, 0],
        ['mean.none', 'recompute', 0, 4, 0, 0],
        ['score', 'history', 0, 0, 0, 4],
        ['absent', 'history', 0, 0, 4, 0],
        ['doubled', 'replay', 3, 1, 0, 0],
      ])
      for (const { seconds } of summary) expect(seconds).toBeNumber()
    })

    test('a warning of each column that holds nothing, and of no other', async () => {
      expect(warningTexts(await reportOf(all, csv('0001', '0002', '0009', '0001')))).toEqual([
        'mean.none is null in every one of 4 rows.',
        "score is missing in every one of 4 rows, though 2 of them have values with earlier event times: these arrived only after the labels' times.",
        'absent has its default in every one of 4 rows.',
      ])
    })

    test('the way to count a score that arrived late, and nothing of it once that is done', async () => {
      const late = await reportOf(['score'], csv('0001'))
      expect(late.warnings.at(-1)?.hint).toContain('--latest-knowledge')
      const { summary, warnings } = await reportOf(['score'], csv('0001'), { latest_knowledge: 'true' })
      expect(summary).toMatchObject([{ values: 1, missing: 0 }])
      expect(warnings).toEqual([])
    })

    test('a warning of labels from the future', async () => {
      const found = await reportOf(['counted'], `${csv('0001')}0001,2099-01-01T00:00:00Z\n0002,2098-01-01T00:00:00Z\n`)
      expect(warningTexts(found)).toEqual([
        'labels 2 of 3 rows are from the future, up to 2099-01-01T00:00:00Z: what will have happened by then is not known yet.',
      ])
      expect(warningTexts(await reportOf(['counted'], csv('0001')))).toEqual([])
    })

    test('a warning of whole numbers whose zeros were lost, and of any keys that no source knows', async () => {
      const lost = await reportOf(['counted'], csv('1', '2'))
      expect(warningTexts(lost)).toEqual([`labels' user_id None of the 2 keys looked for is in "events", such as "1".`])
      expect(lost.warnings.at(-1)?.hint).toContain("labels hold numbers where User's key is a string")
      const unlike = await reportOf(['counted'], csv('x9'))
      expect(unlike.warnings.at(-1)?.hint).toContain('name the same things')
      expect(warningTexts(await reportOf(['counted'], csv('1', '0002')))).toEqual([])
    })

    test('nothing but its columns where there are no rows', async () => {
      const { summary, warnings } = await reportOf(['counted'], 'user_id,event_timestamp\n')
      expect(summary).toMatchObject([{ column: 'counted', values: 0, missing: 0 }])
      expect(warnings.filter(({ subject }) => !subject.startsWith('source '))).toEqual([])
    })

    if (where !== 'on the laptop') {
      test('what doctor knows of a missing index, said when it begins, until there is one', async () => {
        const postgres = openPostgres({ url: given['FABRA_POSTGRES_URL'] ?? '' })
        try {
          const run = (text: string) => postgres.run(text, [], { timeoutMs: 5_000 })
          const { rows } = await run("SELECT indexname FROM pg_indexes WHERE tablename = 'events'")
          for (const [name] of rows) await run(`DROP INDEX "${name}"`)
          const { warnings } = await reportOf(['counted', 'last'], csv('0001'))
          expect(warnings).toHaveLength(1)
          expect(warnings[0]).toMatchObject({
            subject: 'source "events"',
            message: 'no index on (user_id, created_at): every computation reads all rows',
          })
          expect((await explained('counted,last')).warnings).toEqual([...warnings])
          expect((await explained('score')).warnings).toEqual([])
          expect((await reportOf(['score'], csv('0001'), { latest_knowledge: 'true' })).warnings).toEqual([])
          await run((warnings[0]?.hint ?? '').replace('CONCURRENTLY ', ''))
          expect((await reportOf(['counted', 'last'], csv('0001'))).warnings).toEqual([])
        } finally {
          await postgres.close()
        }
      })
    }
  })
}
