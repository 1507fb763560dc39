/** Queries that list an entity's keys pass the gate that features pass, when definitions are loaded. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { keysFaults } from '../../src/compute/sql/keys-sql.ts'
import type { Entity } from '../../src/definition/model.ts'
import { type ComputeBench, openComputeBench, registryOf } from '../support/compute-bench.ts'

let bench: ComputeBench
beforeAll(async () => {
  bench = await openComputeBench(1)
  await bench.execute('CREATE TABLE ev (user_id VARCHAR, ts TIMESTAMP WITH TIME ZONE); CREATE TABLE strangers (user_id VARCHAR)')
})
afterAll(() => bench.store.close())

async function fault(keys: string): Promise<string | null> {
  const registry = registryOf({ sources: { ev: { timestamp: 'ts' } }, features: {} })
  const user = { ...(registry.entities.get('User') as Entity), keys }
  const faults = await keysFaults({ ...registry, entities: new Map([['User', user]]) }, bench.store)
  return faults.get('User')?.message ?? null
}

test.each([
  'SELECT DISTINCT user_id FROM ev',
  'SELECT\u3000user_id FROM\u00a0ev WHERE ts > NOW() /* 取引\u3000件数 */',
  // Present-time text of a definition may read what no source declares.
  'SELECT user_id FROM strangers;',
])('taken: %s', async (keys) => {
  expect(await fault(keys)).toBeNull()
})

test.each([
  ['SELECT user_id FROM nowhere', /There is no table "nowhere"/],
  ['SELECT user_id FROM fabra.api_keys', /There is no table "fabra.api_keys"/],
  ["SELECT user_id FROM read_csv('/etc/passwd')", /read_csv\(\) reads what no source declares/],
  ['SELECT random()', /random\(\)/],
  ["SELECT json_serialize_plan('SELECT 1')", /json_serialize_plan\(\)/],
  ['SELECT usr FROM ev', /usr/],
  ['SELECT user_id FROM ev WHERE user_id = $user_id', /takes no parameters/],
  ['DELETE FROM ev', /SELECT/],
  ['SELECT 1; SELECT 2', /2 statements/],
  ['SELECT user_id\0FROM ev', /NUL/],
])('refused: %s', async (keys, message) => {
  expect(await fault(keys)).toMatch(message)
})
