/**
 * Random sequences of reads, batch reads, clock steps, failing and hanging user code, pushes, reloads and restarts, against a plain model of the
 * contract. `FABRA_TEST_RUNS=10000 bun test test/serving/model.test.ts` runs ten thousand; a failure prints its seed and the shortest sequence.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { openBenchStores } from '../support/bench.ts'
import { type Action, FEATURE_NAMES, KEYS, openWorld } from '../support/read-path-world.ts'

const RUNS = Number(process.env['FABRA_TEST_RUNS'] ?? 120)
const MINUTE = 60_000_000
/** At, just before and just beyond every bound there is. */
const STEPS = [
  1,
  49_000,
  51_000,
  100_000,
  1e6,
  5e6,
  10e6,
  11e6,
  60e6,
  66e6,
  5 * MINUTE,
  5.5 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  60 * MINUTE,
]

/** What can be held is where most can go wrong. */
const feature = fc.constantFrom('held', 'now', 'held', 'now', ...FEATURE_NAMES)
const key = fc.constantFrom('a', ...KEYS)
const maxAge = fc.constantFrom(null, null, '0s', '1s', '60s', '600s', '9000s')
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('read' as const), feature, key, maxAge }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('read many' as const),
      features: fc.uniqueArray(fc.constantFrom(...FEATURE_NAMES), { minLength: 1 }),
      keys: fc.array(key, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('step' as const), by: fc.constantFrom(...STEPS) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('mode' as const),
      feature,
      mode: fc.constantFrom('value', 'value', 'null', 'missing', 'error', 'error', 'error'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('push' as const),
      feature,
      key,
      value: fc.boolean(),
      ago: fc.constantFrom(0, 1, 1e6, -1e6, 5 * MINUTE),
    }),
  },
  { weight: 5, arbitrary: fc.constantFrom<Action>({ do: 'hold' }, { do: 'hold' }, { do: 'release' }) },
  { weight: 2, arbitrary: fc.constantFrom<Action>({ do: 'restart' }, { do: 'reload' }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Action>({ do: 'mode', feature: 'hangs', mode: 'hang' }, { do: 'mode', feature: 'hangs', mode: 'value' }),
  },
)

test(
  `${RUNS} random sequences agree with the model`,
  async () => {
    const stores = await openBenchStores()
    let salt = Date.now() * 1000
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 40 }), async (actions) => {
          const world = await openWorld(stores, ++salt)
          try {
            for (const one of actions) await world.act(one)
          } finally {
            await world.close()
          }
        }),
        { numRuns: RUNS },
      )
      expect(RUNS).toBeGreaterThan(0)
    } finally {
      await stores.close()
    }
  },
  RUNS * 1_000 + 60_000,
)
