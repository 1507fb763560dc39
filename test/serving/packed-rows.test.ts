import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { freshnessRule } from '../../src/definition/feature-traits.ts'
import type { Refresh } from '../../src/definition/model.ts'
import { ageMs, judge } from '../../src/serving/freshness.ts'
import { PackedRows } from '../../src/serving/packed-rows.ts'
import { compilePlan, type PlanGroup, type PlannedFeature } from '../../src/serving/plan.ts'
import type { OnlineStore, StoredRow, StoredValue } from '../../src/store/ports/online-store.ts'
import { openHttpBench } from '../support/http-bench.ts'

const MINUTE = 60_000_000

describe('packed rows', () => {
  const refresh: fc.Arbitrary<Refresh | null> = fc.constantFrom(
    null,
    { kind: 'interval', every: MINUTE } as Refresh,
    { kind: 'interval', every: 5 * MINUTE } as Refresh,
    { kind: 'cron', pattern: '* * * * *' } as Refresh,
  )
  const nextFiring = (_: string, after: number) => (Math.floor(after / MINUTE) + 1) * MINUTE
  const rule = fc
    .record({ refresh, maxStaleness: fc.constantFrom(null, 2 * MINUTE, 10 * MINUTE) })
    .map((facts) => freshnessRule(facts, nextFiring))
  const eventAt = fc.integer({ min: -12, max: 1 }).map((minutes) => minutes * MINUTE)

  test('are fresh where each of their values is', () => {
    let fresh = 0
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 3 }),
        fc.array(fc.array(eventAt, { minLength: 3, maxLength: 3 }), { minLength: 1 }),
        fc.constantFrom(null, MINUTE, 4 * MINUTE),
        fc.nat(2 * MINUTE),
        (rules, rows, maxAge, now) => {
          const group = groupOf(rules)
          const packed = new PackedRows(group, now, maxAge)
          for (const times of rows) {
            const eventAts = times.slice(0, rules.length)
            const row = { json: '', times: { eventAts, oldestAt: Math.min(...eventAts) } }
            const isFresh = rules.every((one, f) => judge(one, eventAts[f] as number, now, maxAge) === 'fresh')
            if (isFresh) fresh++
            const ages = isFresh ? eventAts.map((at) => ageMs(at, now)) : undefined
            // The second time they share what was made of the first.
            for (const _ of [1, 2]) expect(packed.agesOf(row)).toEqual(ages)
          }
        },
      ),
      { numRuns: 1_000 },
    )
    expect(fresh).toBeGreaterThan(100)
  })

  test('are answered as rows that nobody packed', async () => {
    const state = { packs: false, served: 0 }
    const wrapOnline = (store: OnlineStore): OnlineStore => ({
      ...store,
      async read(...asked) {
        const rows = await store.read(...asked)
        if (!state.packs) return rows
        const times = new Map<string, NonNullable<StoredRow['packed']>['times']>()
        return rows.map((row) => packedRow(row, times, () => state.served++))
      },
    })
    await using http = await openHttpBench({
      wrapOnline,
      features: {
        a: { kind: 'pushed' },
        b: { kind: 'pushed', maxStaleness: '1h' },
        c: { kind: 'pushed', type: 'string' },
      },
      featureSets: { all: ['a', 'b', 'c'] },
    })
    const { push, clock } = http.bench
    for (const user of ['u1', 'u2', 'u3']) {
      await push('a', user, 1)
      await push('b', user, 2.5)
      if (user !== 'u3') await push('c', user, `of "${user}"`)
      if (user === 'u1') clock.advance('1m')
    }
    const rows = ['u1', 'u2', 'u2', 'u3', 'u4'].map((user_id) => ({ user_id }))
    const bodies = [
      { feature_set: 'all', rows },
      { feature_set: 'all', rows, detailed: true },
      { feature_set: 'all', rows, max_age: '30s' },
      { features: ['c', 'a'], rows },
    ]
    for (const ms of ['1500ms', '59m', '2h'] as const) {
      clock.advance(ms)
      for (const body of bodies) {
        state.packs = false
        const plain = await http.post('/v1/features', body)
        state.packs = true
        expect((await http.post('/v1/features', body)).text).toBe(plain.text)
      }
    }
    expect(state.served).toBeGreaterThan(0)
  })
})

function groupOf(rules: readonly PlannedFeature['rule'][]): PlanGroup {
  const names = rules.map((_, f) => `f${f}`)
  const entity = { name: 'User', key: [] }
  const planned = new Map(
    names.map((name, f) => [name, { feature: { name, inputs: {} }, entity, field: name, rule: rules[f], realtime: false }]),
  )
  const refs = names.map((name) => ({ name, column: 0, feature: planned.get(name)?.feature }))
  const plan = compilePlan(refs as never, planned as never)
  return plan.groups[0] as PlanGroup
}

function packedRow(row: StoredRow, known: Map<string, NonNullable<StoredRow['packed']>['times']>, onServed: () => void): StoredRow {
  if (!row.every((value) => value?.texts?.length === 1)) return row
  const values = row as readonly StoredValue[]
  const eventAts = values.map((value) => value.eventAt)
  const times = known.get(eventAts.join()) ?? { eventAts, oldestAt: Math.min(...eventAts) }
  known.set(eventAts.join(), times)
  const json = values.map((value) => value.texts?.[0]).join(',')
  return Object.assign([...row], {
    packed: {
      times,
      get json() {
        onServed()
        return json
      },
    },
  })
}
