import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type SteeredClock, systemClock } from '../../src/clock.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { followPresent } from '../../src/store/postgres/connection/server-clock.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

const HOUR = 3_600_000_000

let server: TestServer
let postgres: Postgres
beforeAll(async () => {
  server = await startPostgres()
  postgres = openPostgres({ url: server.url })
}, 180_000)
afterAll(async () => {
  await postgres.close()
  await server[Symbol.asyncDispose]()
})

/** The clock of a machine that is an hour off. */
function machineOff(by: number): SteeredClock {
  const clock = systemClock()
  const real = clock.machine
  return Object.assign(systemClock(by), { machine: () => real() + by })
}

async function serverNow(): Promise<number> {
  const { rows } = await postgres.run('SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8', [], { timeoutMs: 5_000 })
  return Number(rows[0]?.[0])
}

test.each([HOUR, -HOUR])('a machine whose clock is %p microseconds off computes at the present of the database', async (by) => {
  const clock = machineOff(by)
  expect(Math.abs(clock.now() - (await serverNow()))).toBeGreaterThan(HOUR / 2)
  const following = await followPresent(postgres, clock)
  const before = await serverNow()
  const now = clock.now()
  const after = await serverNow()
  expect(now).toBeGreaterThanOrEqual(before)
  expect(now - after).toBeLessThan(1_000_000)
  following.stop()
})

test('a row written before the question is before the present', async () => {
  const clock = systemClock()
  const following = await followPresent(postgres, clock)
  for (let i = 0; i < 50; i++) {
    const written = await serverNow()
    expect(clock.now()).toBeGreaterThan(written)
  }
  following.stop()
})

test('an offset that was asked for stays beside the clock of the database', async () => {
  const clock = systemClock(-HOUR)
  const following = await followPresent(postgres, clock)
  expect(Math.abs(clock.now() + HOUR - (await serverNow()))).toBeLessThan(1_000_000)
  following.stop()
})

test('a clock that is steered back a little stands still, one that is steered back far goes', () => {
  const clock = systemClock()
  clock.steer(100_000)
  const ahead = clock.now()
  clock.steer(0)
  expect(clock.now()).toBeGreaterThanOrEqual(ahead)
  expect(clock.now() - clock.machine()).toBeGreaterThan(0)
  clock.steer(HOUR)
  clock.steer(0)
  expect(clock.now() - clock.machine()).toBeLessThan(1_000_000)
})

test('a clock is never behind the other one, and a little ahead of it is left alone', () => {
  const clock = systemClock()
  clock.steer(700)
  expect(clock.now() - clock.machine()).toBeGreaterThan(500)
  clock.steer(-500)
  expect(clock.now() - clock.machine()).toBeGreaterThan(500)
  clock.steer(-5_000)
  clock.steer(2_000)
  expect(clock.now() - clock.machine()).toBeGreaterThan(1_500)
})
