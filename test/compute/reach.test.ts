/** How far back a text looks, of both engines: what is proved holds, rows from before may go; what is not proved is not told. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { keptRowsProblems } from '../../src/compute/sql/reach/kept-rows.ts'
import type { Registry } from '../../src/definition/model.ts'
import { parseTime } from '../../src/definition/time.ts'
import { openComputeBench, type SqlBench } from '../support/compute-bench.ts'
import { openPostgresBench } from '../support/postgres-bench.ts'
import { startPostgres } from '../support/servers.ts'
import { feature, User } from '../support/stored-definitions.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(120_000)

/** The last moment of a leap year's long month: what is cut off and counted back is longest. */
const NOW = '2024-03-31T23:59:59.999999Z'
const DAY = 86_400_000_000
const EVENTS = 'SELECT COUNT(*) FROM events AS e WHERE user_id = $user_id'

/** Days, rounded up; null: for ever. */
const TEXTS: readonly (readonly [sql: string, days: number | null])[] = [
  [`${EVENTS} AND created_at > NOW() - INTERVAL '7 days'`, 7],
  [`${EVENTS} AND created_at >= CURRENT_TIMESTAMP - INTERVAL '1 week 12:00:00'`, 8],
  [`${EVENTS} AND NOW() - INTERVAL '36 hours' < e.created_at`, 2],
  [`${EVENTS} AND (amount > 1 AND (created_at > NOW() - INTERVAL '2 days'))`, 2],
  [`${EVENTS} AND created_at BETWEEN NOW() - INTERVAL '3 days' AND NOW()`, 3],
  [`${EVENTS} AND created_at > NOW() - INTERVAL '1 month'`, 31],
  [`${EVENTS} AND created_at > NOW() - INTERVAL '1 year'`, 366],
  [`${EVENTS} AND created_at >= CURRENT_DATE - 30`, 31],
  [`${EVENTS} AND created_at >= CURRENT_DATE - INTERVAL '2 months'`, 63],
  [`${EVENTS} AND created_at >= date_trunc('month', NOW())`, 31],
  [`${EVENTS} AND created_at >= date_trunc('week', NOW()) - INTERVAL '1 week'`, 14],
  [`${EVENTS} AND CAST(created_at AS DATE) >= CAST(NOW() AS DATE) - 6`, 7],
  [`${EVENTS} AND date_trunc('day', created_at) > NOW() - INTERVAL '5 days'`, 5],
  [`${EVENTS} AND created_at > NOW() + INTERVAL '-4 days'`, 4],
  [`${EVENTS} AND created_at > NOW() - INTERVAL '1 day' * 9`, 9],
  [`${EVENTS} AND created_at > NOW() - INTERVAL '10 days' AND created_at > NOW() - INTERVAL '4 days'`, 4],
  [
    `WITH recent AS (SELECT * FROM events WHERE created_at > NOW() - INTERVAL '6 days') SELECT COUNT(*) FROM recent WHERE user_id = $user_id`,
    6,
  ],
  [
    `SELECT COUNT(*) FROM events AS e LEFT JOIN users AS u ON u.id = e.user_id WHERE e.user_id = $user_id AND e.created_at > NOW() - INTERVAL '5 days'`,
    5,
  ],
  [
    `SELECT COUNT(e.amount) FROM users AS u LEFT JOIN events AS e ON u.id = e.user_id WHERE u.id = $user_id AND e.created_at > NOW() - INTERVAL '5 days'`,
    5,
  ],
  [
    `SELECT COUNT(*) FROM (${EVENTS.replace('COUNT(*)', '*')} AND created_at > NOW() - INTERVAL '2 days' UNION ALL ${EVENTS.replace('COUNT(*)', '*')} AND created_at > NOW() - INTERVAL '8 days') AS two`,
    8,
  ],
  [
    `SELECT amount FROM events WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '3 days' ORDER BY created_at DESC, amount LIMIT 1`,
    3,
  ],
  [
    `SELECT CAST(COALESCE(SUM(amount) FILTER (WHERE created_at > NOW() - INTERVAL '5 days'), 0) - (1 + COUNT(*) FILTER (WHERE amount > 2 AND created_at > NOW() - INTERVAL '9 days')) AS BIGINT) FROM events WHERE user_id = $user_id`,
    9,
  ],
  [`SELECT COUNT(*) FILTER (WHERE created_at > NOW() - INTERVAL '5 days') + COUNT(*) FROM events WHERE user_id = $user_id`, null],
  [`SELECT COUNT(*) FILTER (WHERE created_at > NOW() - INTERVAL '5 days') + SUM(1) FROM events WHERE user_id = $user_id`, null],
  [
    `SELECT COUNT(*) FILTER (WHERE created_at > NOW() - INTERVAL '5 days') FROM events WHERE user_id = $user_id GROUP BY amount ORDER BY 1 DESC LIMIT 1`,
    null,
  ],
  [`SELECT COUNT(*) FILTER (WHERE created_at > NOW() - INTERVAL '5 days' OR amount = 1) FROM events WHERE user_id = $user_id`, null],
  [EVENTS, null],
  // Whose column that is may be told by nobody but the engine.
  [
    `SELECT COUNT(*) FROM events AS e JOIN (SELECT id FROM users) AS u ON u.id = e.user_id WHERE u.id = $user_id AND created_at > NOW() - INTERVAL '7 days'`,
    null,
  ],
  [`${EVENTS} OR created_at > NOW() - INTERVAL '7 days'`, null],
  [`${EVENTS} AND NOT (created_at < NOW() - INTERVAL '7 days' OR amount > 3)`, null],
  [`${EVENTS} AND created_at < NOW() - INTERVAL '7 days'`, null],
  [`${EVENTS} AND seen_at > NOW() - INTERVAL '7 days'`, null],
  [`${EVENTS} AND created_at > CAST('2024-01-01T00:00:00Z' AS TIMESTAMPTZ)`, null],
  [`${EVENTS} AND created_at > NOW() - amount * INTERVAL '1 day'`, null],
  [
    `SELECT COUNT(*) - (SELECT COUNT(*) FROM events AS o) FROM events AS e WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '7 days'`,
    null,
  ],
  [
    `SELECT COUNT(*) FROM events AS e JOIN events AS o ON o.user_id = e.user_id WHERE e.user_id = $user_id AND e.created_at > NOW() - INTERVAL '7 days'`,
    null,
  ],
  [`SELECT COUNT(*) FROM users AS u WHERE u.id = $user_id AND NOT EXISTS (SELECT 1 FROM events WHERE user_id = u.id)`, null],
  [
    `SELECT COUNT(e.amount) FROM users AS u LEFT JOIN events AS e ON u.id = e.user_id AND e.created_at > NOW() - INTERVAL '5 days' WHERE u.id = $user_id`,
    null,
  ],
  [
    `SELECT COUNT(*) FROM events AS e, users AS u WHERE e.user_id = u.id AND u.id = $user_id AND u.created_at > NOW() - INTERVAL '5 days'`,
    null,
  ],
]

describe.each(['DuckDB', 'PostgreSQL'])('the reach of a text in %s', (engine) => {
  let bench: SqlBench
  let stop = async () => undefined as unknown
  beforeAll(async () => {
    if (engine === 'DuckDB') bench = await openComputeBench(1)
    else {
      const server = await startPostgres()
      bench = await openPostgresBench(server, 'reach')
      stop = async () => server[Symbol.asyncDispose]()
    }
    const rows = Array.from(
      { length: 420 },
      (_, i) => `('u1', TIMESTAMPTZ '${NOW}' - ${i} * INTERVAL '1 day' - INTERVAL '1 second', TIMESTAMPTZ '${NOW}', ${i % 7})`,
    )
    await bench.execute('CREATE TABLE events (user_id VARCHAR, created_at TIMESTAMPTZ, seen_at TIMESTAMPTZ, amount INTEGER)')
    await bench.execute(
      `CREATE TABLE users (id VARCHAR, created_at TIMESTAMPTZ); INSERT INTO users VALUES ('u1', TIMESTAMPTZ '2000-01-01T00:00:00Z')`,
    )
    await bench.execute(`INSERT INTO events VALUES ${rows.join(', ')}`)
    await bench.execute('CREATE TABLE whole AS SELECT * FROM events')
  })
  afterAll(async () => {
    await bench?.close()
    await stop()
  })

  test('is what is proved and no less, and what is not proved is not told', async () => {
    const features = Object.fromEntries(TEXTS.map(([sql], i) => [`f${i}`, { sql, type: 'int' as const }]))
    const { definitions, ask } = await bench.define({
      sources: { events: { timestamp: 'created_at' }, users: { timestamp: 'created_at' } },
      features,
    })
    expect(definitions.problems).toEqual([])
    const reaches = TEXTS.map((_, i) => definitions.get(`f${i}`)?.reaches.find(({ source }) => source.name === 'events')?.reach)
    expect(reaches.map((reach, i) => [TEXTS[i]?.[0], reach === null || reach === undefined ? null : Math.ceil(reach / DAY)])).toEqual(
      TEXTS.map(([sql, days]) => [sql, days]),
    )
    const known = reaches.flatMap((reach, i) => (typeof reach === 'number' ? [{ name: `f${i}`, reach }] : []))
    for (const { name, reach } of known.sort((a, b) => b.reach - a.reach)) {
      const before = await ask(name, [['u1', NOW]])
      const seconds = (parseTime(NOW) - reach) / 1e6
      await bench.execute(`DELETE FROM events WHERE created_at < to_timestamp(${seconds.toFixed(6)})`)
      expect([name, await ask(name, [['u1', NOW]])]).toEqual([name, before])
    }
  })

  test('decides whether rows may leave: whoever may need them is named, with what would mend it', async () => {
    const location = { file: '/features.ts', line: 7, column: 1 }
    const columns = { user_id: 'VARCHAR', created_at: 'TIMESTAMPTZ' }
    const { definitions } = await bench.define({
      sources: { events: { timestamp: 'created_at', columns }, users: { timestamp: 'created_at' }, whole: { timestamp: 'created_at' } },
      features: {
        week: { sql: `${EVENTS} AND created_at > NOW() - INTERVAL '7 days'`, type: 'int', location },
        ever: { sql: EVENTS, type: 'int', location },
        elsewhere: { sql: 'SELECT COUNT(*) FROM whole WHERE user_id = $user_id', type: 'int', location },
      },
    })
    const { registry } = definitions
    const asks = feature({ name: 'asks', readsDb: true, location })
    const computes = feature({ name: 'computes', location })
    const problemsOf = async (keep: number | null, more: Partial<Registry> = {}) => {
      const found = await keptRowsProblems({ ...definitions, registry: { ...registry, ...more } }, bench.store, keep)
      return found.map(({ subject, message, hint, location: at }) => [subject, `${message} ${hint}`, at?.line])
    }
    expect(await problemsOf(null)).toEqual([])
    expect(await problemsOf(8 * DAY)).toEqual([['feature "ever"', expect.stringContaining("created_at > NOW() - INTERVAL '7 days'"), 7]])
    expect(await problemsOf(7 * DAY)).toEqual([
      ['feature "week"', expect.stringMatching(/looks back as far as 7d.*FABRA_ROWS_KEEP=8d/), 7],
      ['feature "ever"', expect.stringContaining('how far back it looks is not known'), 7],
    ])
    const features = new Map([...registry.features].filter(([name]) => name !== 'ever'))
    expect(await problemsOf(8 * DAY, { features })).toEqual([])
    const functions = new Map([...features, ['asks', asks] as const, ['computes', computes] as const])
    expect(await problemsOf(8 * DAY, { features: functions })).toEqual([
      [
        'feature "asks"',
        expect.stringMatching(
          /a function that reads db\..*SQL feature, ask for its value by get.*created_at > NOW\(\) - INTERVAL '7 days'/,
        ),
        7,
      ],
    ])
    const entities = new Map([['User', { ...User, keys: 'SELECT DISTINCT user_id FROM events' }]])
    expect(await problemsOf(8 * DAY, { features, entities })).toEqual([['entity "User"', expect.stringContaining('keys query'), undefined]])
  })
})
