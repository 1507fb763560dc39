import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { SQL } from 'bun'
import { readConfig } from '../../src/config/config.ts'
import { runCommand } from '../support/command.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

let postgres: TestServer
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

async function fabra(args: readonly string[], env: Readonly<Record<string, string>> = { FABRA_POSTGRES_URL: postgres.url }) {
  return runCommand(args, {
    cwd: '/tmp',
    env,
  })
}

describe('fabra keys', () => {
  test('makes a key that is shown once and kept as its hash alone', async () => {
    const made = await fabra(['keys', 'create', '--name', 'app', '--scopes', 'write, read'])
    expect(made.exitCode).toBe(0)
    const key = made.stdout.trim()
    expect(key).toMatch(/^fab_[0-9A-Za-z]{43}$/)
    expect(made.stderr).toContain('read, write')
    const sql = new SQL(postgres.url, { max: 1 })
    const [row] = await sql`SELECT hash, to_jsonb(k)::text AS whole FROM fabra.api_keys k WHERE name = 'app'`
    await sql.close()
    expect(row.hash).toBe(createHash('sha256').update(key).digest('hex'))
    expect(row.whole).not.toContain(key.slice(4))
    const listed = await fabra(['keys', 'list'])
    expect(listed.stdout).toContain('app   read,write')
    expect(listed.stdout).not.toContain(key.slice(4))
  })

  test('revokes a key, which stays in the list', async () => {
    const made = JSON.parse((await fabra(['keys', 'create', '--json', '--name', 'gone'])).stdout)
    expect(made).toMatchObject({ name: 'gone', scopes: ['read'], kept: true })
    expect((await fabra(['keys', 'revoke', made.id])).exitCode).toBe(0)
    expect((await fabra(['keys', 'revoke', made.id])).exitCode).toBe(0)
    const { keys } = JSON.parse((await fabra(['keys', 'list', '--json'])).stdout)
    expect(keys.find((key: { id: string }) => key.id === made.id).revoked_at).toMatch(/Z$/)
    // Who did it is kept, and never the key.
    const sql = new SQL(postgres.url, { max: 1 })
    const lines = await sql`SELECT action, result, body FROM fabra.audit WHERE subject = ${made.id} ORDER BY happened_at, id`
    await sql.close()
    expect(lines.map(({ action, result }: { action: string; result: string }) => [action, result])).toEqual([
      ['key.create', 'ok'],
      ['key.revoke', 'ok'],
      ['key.revoke', 'ok'],
    ])
    expect(JSON.parse(lines[0].body)).toMatchObject({
      by: { kind: 'user', name: expect.stringMatching(/.+@.+/) },
      detail: { name: 'gone' },
    })
    expect(JSON.stringify(lines)).not.toContain(made.key.slice(4))
  })

  test('a key may see some features alone and have an end; another takes over from it while both are good', async () => {
    const bounds = ['--features', 'score, spend', '--entities', 'User', '--rate', '50', '--expires', '90d']
    const made = JSON.parse((await fabra(['keys', 'create', '--json', '--name', 'partner', ...bounds])).stdout)
    expect(made).toMatchObject({ features: ['score', 'spend'], entities: ['User'], rate: 50 })
    expect(made.entry).toMatch(/^[0-9a-f]{64}:read;features=score\+spend;entities=User;rate=50;until=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const { apiKeys } = readConfig({ FABRA_API_KEYS: made.entry }, { cwd: '/tmp', terminal: false })
    expect(apiKeys[0]).toMatchObject({ scopes: ['read'], allowed: { features: ['score', 'spend'], entities: ['User'] } })
    expect(Math.abs((apiKeys[0]?.expiresAt ?? 0) - Date.parse(made.expires_at) * 1000)).toBeLessThan(1_000_001)

    const next = JSON.parse((await fabra(['keys', 'rotate', made.id, '--overlap', '2h', '--json'])).stdout)
    expect(next).toMatchObject({
      name: 'partner',
      scopes: ['read'],
      features: ['score', 'spend'],
      entities: ['User'],
      rate: 50,
      replaces: made.id,
    })
    const { keys } = JSON.parse((await fabra(['keys', 'list', '--json'])).stdout)
    const [old, young] = [made.id, next.id].map((id) => keys.find((key: { id: string }) => key.id === id))
    expect(old.expires_at).toBe(next.replaced_until)
    expect(Date.parse(young.expires_at)).toBeGreaterThan(Date.parse(old.expires_at))
    expect((await fabra(['keys', 'list'])).stdout).toMatch(/partner {2}read .* until .*, 50\/s, sees score, spend, User/)
  })

  test('every key is another', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, async () => (await fabra(['keys', 'create'])).stdout))
    expect(new Set(keys).size).toBe(5)
  })

  test('without PostgreSQL tells what the server needs to know', async () => {
    const { exitCode, stdout, stderr } = await fabra(['keys', 'create'], {})
    expect(exitCode).toBe(0)
    const hash = createHash('sha256').update(stdout.trim()).digest('hex')
    expect(stderr).toContain(`FABRA_API_KEYS=${hash}:read\n`)
  })

  test('makes one for the app, which reads, and one for who runs it, which may do all, with one line for the server', async () => {
    const { stdout, stderr } = await fabra(['keys', 'create', '--name', 'shop', '--operator'], {})
    const [app = '', operator = ''] = stdout.trim().split('\n')
    const hash = (key: string) => createHash('sha256').update(key).digest('hex')
    expect(stderr).toContain(`FABRA_API_KEYS=${hash(app)}:read,${hash(operator)}:read+train+write+admin\n`)
    const kept = JSON.parse((await fabra(['keys', 'create', '--name', 'shop', '--operator', '--json'])).stdout)
    expect(kept).toMatchObject({ scopes: ['read'], operator: { name: 'shop-operator', scopes: ['read', 'train', 'write', 'admin'] } })
    const { keys } = JSON.parse((await fabra(['keys', 'list', '--json'])).stdout)
    expect(keys).toContainEqual(expect.objectContaining({ id: kept.operator.id, scopes: ['read', 'train', 'write', 'admin'] }))
  })

  test.each([
    [['keys', 'revoke', 'nokey'], 2, 'No key "nokey"'],
    [['keys', 'create', '--scopes', 'root'], 2, '"root" is no scope'],
    [['keys', 'create', '--scopes', ''], 2, 'is no scope'],
    [['keys', 'create', '--features', 'a b'], 2, '"a b" is no name'],
    [['keys', 'create', '--expires', '2001-01-01T00:00:00Z'], 2, 'has passed already'],
    [['keys', 'create', '--expires', 'soon'], 2, 'is no time'],
    [['keys', 'rotate', 'nokey'], 2, 'No key "nokey" is good'],
    [['keys', 'rotate', 'nokey', '--overlap', 'long'], 2, 'is no duration'],
    [['keys', 'revoke'], 2, 'Missing required argument'],
  ])('%p fails with %i', async (args, exitCode, text) => {
    const ended = await fabra(args)
    expect(ended.exitCode).toBe(exitCode)
    expect(ended.stderr).toContain(text)
  })

  test('a database that cannot be reached is told in words, without its address', async () => {
    const ended = await fabra(['keys', 'list'], { FABRA_POSTGRES_URL: 'postgres://me:secret@127.0.0.1:1/x' })
    expect(ended.exitCode).toBe(1)
    expect(ended.stderr).toContain('store_unavailable')
    expect(ended.stderr).not.toContain('secret')
  })
})
