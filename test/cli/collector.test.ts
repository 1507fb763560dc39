/** Who begins once more with the collector's settings; that the executable does is shown in test/e2e/production.test.ts. */
import { expect, test } from 'bun:test'
import { type Beginning, tuneCollector } from '../../src/cli/serve/gc-settings.ts'

const EDEN = 'BUN_JSC_percentCPUPerMBForEdenTimer'
const SHARE = 'BUN_JSC_collectionTimerMaxPercentCPU'
const HOLES = 'MIMALLOC_PURGE_HOLES_MIN_INTERVAL'

/** What it begins once more with; undefined: it goes on as it is. */
function begunWith(beginning: Omit<Beginning, 'again'>): Beginning['env'] | undefined {
  const begun: Beginning['env'][] = []
  tuneCollector({ ...beginning, again: (env) => void begun.push(env) })
  return begun[0]
}

test.each([
  ['with Redis', { FABRA_REDIS_URL: 'redis://127.0.0.1:6379' }],
  ['with the addresses of a platform', { FABRA_ENV: 'production', REDIS_URL: 'redis://127.0.0.1:6379' }],
] as const)('a server %s begins once more, and only once', (_what, env) => {
  const tuned = begunWith({ args: ['--json', 'serve', 'features.ts'], env })
  expect(tuned).toMatchObject({ ...env, [EDEN]: expect.any(String), [HOLES]: expect.any(String) })
  expect(begunWith({ args: ['--json', 'serve', 'features.ts'], env: tuned ?? {} })).toBeUndefined()
})

test.each([
  ['on a laptop', ['serve', 'features.ts'], {}],
  ['whose Redis is an empty text', ['serve', 'features.ts'], { FABRA_REDIS_URL: '' }],
  ['that is another one', ['refresh', 'serve'], { FABRA_REDIS_URL: 'redis://127.0.0.1:6379' }],
  ['that is none', [], { FABRA_REDIS_URL: 'redis://127.0.0.1:6379' }],
] as const)('a command %s goes on as it is', (_what, args, env) => {
  expect(begunWith({ args, env })).toBeUndefined()
})

test('what the user has set stays', () => {
  const env = { FABRA_REDIS_URL: 'redis://127.0.0.1:6379', [SHARE]: '0.5' }
  expect(begunWith({ args: ['serve'], env })).toMatchObject({ [SHARE]: '0.5', [EDEN]: expect.any(String) })
})

test('a system that refuses is no reason not to serve', () => {
  const again = () => {
    throw new Error('EACCES')
  }
  const env = { FABRA_REDIS_URL: 'redis://127.0.0.1:6379' }
  expect(() => tuneCollector({ args: ['serve'], env, again })).not.toThrow()
})
