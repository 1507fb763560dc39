import { beforeEach, describe, expect, test } from 'bun:test'
import type { AdminStore, ApiKey } from '../../src/store/ports/admin-store.ts'
import type { RunRecord } from '../../src/store/ports/run-store.ts'

/** Recent, as old runs are forgotten. */
const NOW = Date.now() * 1000

/** What every admin store promises. `factory` gives an empty one each time. */
export function adminStoreSuite(name: string, factory: () => Promise<AdminStore>): void {
  describe(`admin store: ${name}`, () => {
    let store: AdminStore
    beforeEach(async () => {
      store = await factory()
    })

    test('keys come back exactly as they were added, oldest first', async () => {
      expect(await store.apiKeys()).toEqual([])
      const second = key({ id: 'b', name: 'it\'s "ours", \\ é😀', scopes: ['read', 'write', 'admin'], createdAt: NOW + 123_456 })
      const first = key({ id: 'a', scopes: [], createdAt: NOW - 1, revokedAt: NOW + 1 })
      await store.addApiKey(second)
      await store.addApiKey(first)
      expect(await store.apiKeys()).toEqual([first, second])
    })

    test('a revoked key stays in the list; revoking it again does not move the moment', async () => {
      await store.addApiKey(key({ id: 'a' }))
      await store.addApiKey(key({ id: 'b', hash: 'b'.repeat(64) }))
      expect(await store.revokeApiKey('a', NOW + 5)).toBe(true)
      expect(await store.revokeApiKey('a', NOW + 9)).toBe(true)
      expect(await store.revokeApiKey('nobody', NOW)).toBe(false)
      expect((await store.apiKeys()).map(({ id, revokedAt }) => [id, revokedAt])).toEqual([
        ['a', NOW + 5],
        ['b', null],
      ])
    })

    test('what a key is confined to comes back; older versions, which look at scopes alone, find it without any', async () => {
      const confined = key({ id: 'c', scopes: ['read', 'write'], allowed: { features: ['spend'], entities: null }, expiresAt: NOW + 7 })
      const limited = key({ id: 'd', scopes: ['write'], rate: 7, createdAt: NOW + 1 })
      await store.addApiKey(confined)
      await store.addApiKey(limited)
      expect(await store.apiKeys()).toEqual([confined, limited])
    })

    test('the nearest end of a key and the latest use stay', async () => {
      await store.addApiKey(key({ id: 'a' }))
      expect(await store.expireApiKey('nobody', NOW)).toBe(false)
      for (const at of [NOW + 9, NOW + 5, NOW + 7]) {
        expect(await store.expireApiKey('a', at)).toBe(true)
        await store.useApiKeys(['a', 'nobody'], at)
      }
      await store.useApiKeys([], NOW + 99)
      expect(await store.apiKeys()).toMatchObject([{ expiresAt: NOW + 5, lastUsedAt: NOW + 9 }])
    })

    test('runs come back exactly as they were added, newest first, of one feature or of all', async () => {
      expect(await store.runs({ limit: 10 })).toEqual([])
      const runs = [
        run({ id: '1', startedAt: NOW + 1, error: 'it\'s "broken"\n😀' }),
        run({ id: '2', startedAt: NOW + 3, feature: 'other', keys: 9_007_199_254_740_991 }),
        run({ id: '3', startedAt: NOW + 2 }),
      ]
      await store.addRuns(runs)
      await store.addRuns([])
      expect(await store.runs({ limit: 10 })).toEqual([runs[1], runs[2], runs[0]] as RunRecord[])
      expect((await store.runs({ feature: 'spend', limit: 10 })).map(({ id }) => id)).toEqual(['3', '1'])
      expect((await store.runs({ limit: 1 })).map(({ id }) => id)).toEqual(['2'])
      expect(await store.runs({ feature: 'unknown', limit: 10 })).toEqual([])
    })

    test('a run that is added twice is kept once', async () => {
      await store.addRuns([run({ id: '1' })])
      await store.addRuns([run({ id: '1' }), run({ id: '2' })])
      expect((await store.runs({ limit: 10 })).map(({ id }) => id)).toEqual(['2', '1'])
    })

    test('a thousand runs of a feature are kept, none of them older than a week', async () => {
      const day = 86_400_000_000
      await store.addRuns([
        run({ id: 'old', feature: 'rare', startedAt: NOW - 8 * day }),
        run({ id: 'young', feature: 'rare', startedAt: NOW - 6 * day }),
      ])
      for (let from = 0; from < 1_200; from += 100) {
        await store.addRuns(
          Array.from({ length: 100 }, (_, i) => run({ id: String(from + i).padStart(5, '0'), startedAt: NOW + from + i })),
        )
      }
      const kept = await store.runs({ feature: 'spend', limit: 2_000 })
      expect(kept[0]?.id).toBe('01199')
      expect(kept.length).toBeGreaterThanOrEqual(1_000)
      expect(kept.length).toBeLessThan(1_200)
      expect((await store.runs({ feature: 'rare', limit: 10 })).map(({ id }) => id)).toEqual(['young'])
    })
  })
}

function key(facts: Partial<ApiKey>): ApiKey {
  return {
    id: 'a',
    name: 'ours',
    hash: 'a'.repeat(64).slice(0, 63) + (facts.id ?? 'a'),
    scopes: ['read'],
    createdAt: NOW,
    allowed: null,
    rate: null,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    ...facts,
  }
}

function run(facts: Partial<RunRecord>): RunRecord {
  return {
    id: '1',
    feature: 'spend',
    reason: 'schedule',
    startedAt: NOW,
    finishedAt: NOW + 1_000_001,
    keys: 10,
    changed: 2,
    failed: 1,
    error: null,
    ...facts,
  }
}
