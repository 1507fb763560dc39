import { expect, test } from 'bun:test'
import { examine } from '../../src/app/doctor.ts'
import { examineSecurity } from '../../src/app/doctor-security.ts'
import { readConfig } from '../../src/config/config.ts'
import { runCommand } from '../support/command.ts'
import { startRedis } from '../support/servers.ts'

const KEY = `${'01'.repeat(32)}:read`
const ADMIN = `${'02'.repeat(32)}:read+train+write+admin`
const NOW = Date.parse('2026-06-01T00:00:00Z') * 1_000

async function found(env: Readonly<Record<string, string>>) {
  const config = readConfig({ FABRA_DATA_DIR: '/nowhere', ...env }, { cwd: '/', terminal: false })
  return new Map((await examineSecurity(config, NOW)).map((one) => [one.subject, one]))
}

test.each<[what: string, env: Record<string, string>, subject: string, state: string]>([
  ['loopback', {}, 'bound address', 'ok'],
  ['all addresses', { FABRA_HOST: '0.0.0.0' }, 'bound address', 'problem'],
  ['all addresses with keys', { FABRA_HOST: '0.0.0.0', FABRA_API_KEYS: KEY }, 'bound address', 'ok'],
  ['--insecure', { FABRA_INSECURE: '1' }, '--insecure', 'problem'],
  ['no keys here', {}, 'keyring', 'warning'],
  ['no keys elsewhere', { FABRA_HOST: '::' }, 'keyring', 'problem'],
  ['keys', { FABRA_API_KEYS: KEY }, 'keyring', 'ok'],
  ['only keys that ended', { FABRA_API_KEYS: `${KEY};until=2026-05-01T00:00:00Z` }, 'keyring', 'problem'],
  ['a key that reads', { FABRA_API_KEYS: `${KEY},${ADMIN}` }, 'scopes', 'ok'],
  ['keys that may do all', { FABRA_API_KEYS: ADMIN }, 'scopes', 'warning'],
  ['Redis far away', { FABRA_REDIS_URL: 'redis://:longandrandom@cache.example.com' }, 'TLS of FABRA_REDIS_URL', 'problem'],
  ['Redis far away, encrypted', { FABRA_REDIS_URL: 'rediss://:longandrandom@cache.example.com' }, 'TLS of FABRA_REDIS_URL', 'ok'],
  ['Redis beside it', { FABRA_REDIS_URL: 'redis://redis:6379' }, 'TLS of FABRA_REDIS_URL', 'ok'],
  ['a password that everybody tries', { FABRA_REDIS_URL: 'rediss://:redis@cache.example.com' }, 'password of FABRA_REDIS_URL', 'problem'],
  ['debuggers in production', { FABRA_ENV: 'production', FABRA_DEBUG: '1' }, 'debugging', 'problem'],
  ['production', { FABRA_ENV: 'production' }, 'debugging', 'ok'],
  ['logs', { FABRA_REDIS_URL: 'rediss://:p%40ss"w\\ord@cache.example.com' }, 'logs', 'ok'],
  ['a webhook in clear', { FABRA_WEBHOOK_URL: 'http://hooks.example.com/a' }, 'webhook', 'problem'],
  ['an unsigned webhook', { FABRA_WEBHOOK_URL: 'https://hooks.example.com/a' }, 'webhook signature', 'warning'],
])('says of each default whether it holds: %s', async (_what, env, subject, state) => {
  expect((await found(env)).get(subject)).toMatchObject({ state, fix: state === 'ok' ? null : expect.any(String) })
})

test('is a command that fails where one does not, and repeats no secret', async () => {
  const ask = async (env: Record<string, string>) => {
    const host = { cwd: '/tmp', env: { FABRA_DATA_DIR: '/nowhere', ...env } }
    const { exitCode, stdout } = await runCommand(['doctor', '--security', '--json'], host)
    expect(stdout).not.toContain('canaryword')
    return [exitCode, JSON.parse(stdout).findings.some(({ state }: { state: string }) => state === 'problem')]
  }
  expect(await ask({ FABRA_API_KEYS: KEY })).toEqual([0, false])
  expect(await ask({ FABRA_REDIS_URL: 'redis://:canaryword@cache.example.com' })).toEqual([1, true])
})

test('tells a Redis that throws values out', async () => {
  await using redis = await startRedis({ args: ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'] })
  const config = readConfig({ FABRA_DATA_DIR: '/nowhere', FABRA_REDIS_URL: redis.url }, { cwd: '/', terminal: false })
  expect(await examine(config, [])).toContainEqual(
    expect.objectContaining({ subject: 'Redis', state: 'problem', message: expect.stringContaining('allkeys-lru') }),
  )
})
