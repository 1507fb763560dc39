import { expect, setDefaultTimeout, test } from 'bun:test'
import { systemClock } from '../../src/clock.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import { FabraError } from '../../src/errors.ts'
import { createMemoryOnlineStore } from '../../src/store/memory/online-store.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createRecorder } from '../../src/store/recording/recorder.ts'
import { startPostgres } from '../support/servers.ts'
import { feature, User } from '../support/stored-definitions.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created, and killed.
setDefaultTimeout(180_000)

test('a server that is killed twice while rows come in loses nothing that was accepted, and keeps nothing twice', async () => {
  await using server = await startPostgres()
  const postgres = openPostgres({ url: server.url })
  await migrate(postgres)
  const clock = systemClock()
  const offline = createPostgresOfflineStore({ postgres, random: Math.random, onProblem: () => undefined })
  const recorder = await createRecorder({ online: createMemoryOnlineStore(), offline, clock, onProblem: () => undefined })
  const all = feature({ name: 'spend', history: 'all' })
  let accepted = 0
  const write = (durable: boolean) => {
    const at = clock.now()
    const value = { texts: [String(accepted)], eventAt: at, availableAt: at, origin: 'computed', oldestInputAt: null } as const
    accepted++
    return recorder.record([{ feature: all, entity: User, key: entityKey(User, [`u${accepted % 7}`]), value }], { durable })
  }
  for (let round = 0; round < 2; round++) {
    const before = recorder.counters().written
    let going = true
    const writing = (async () => {
      while (going) {
        for (let i = 0; i < 50 && recorder.counters().queued < 5_000; i++) await write(false)
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    await until('rows are written', 10_000, async () => (recorder.counters().written > before + 500 ? true : undefined))
    await server.kill()
    await until('it is noticed', 10_000, async () => (recorder.counters().failing ? true : undefined))
    going = false
    await writing
    const refused = await write(true).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(FabraError)
    expect(refused).toMatchObject({ code: 'store_unavailable' })
    await server.start()
    await until('it goes on', 15_000, async () => (recorder.counters().queued === 0 ? true : undefined))
  }
  const { rows } = await postgres.run('SELECT count(*), count(DISTINCT seq), max(seq) FROM fabra.feature_history', [], {
    timeoutMs: 10_000,
  })
  expect(rows[0]?.map(Number)).toEqual([accepted, accepted, await offline.lastSeq()])
  await recorder.close()
  expect(recorder.counters().lost).toBe(0)
  await postgres.close()
})
