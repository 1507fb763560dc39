import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { SqlError } from '../../src/store/ports/source-engine.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { startTlsPostgres, type TestTlsPostgres } from '../support/servers.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

let server: TestTlsPostgres
beforeAll(async () => {
  server = await startTlsPostgres()
})
afterAll(() => server[Symbol.asyncDispose]())

/** @returns whether the connection is encrypted and of whom, or what is wrong. */
async function connect(url: string): Promise<string> {
  const postgres = openPostgres({ url })
  try {
    const text = 'SELECT ssl, current_user FROM pg_stat_ssl WHERE pid = pg_backend_pid()'
    const { rows } = await postgres.run(text, [], { timeoutMs: 5_000 })
    return String(rows[0])
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    expect(`${error.message}${error.cause}`).not.toContain('s/e:c')
    return `${error.kind}: ${error.message}`
  } finally {
    await postgres.close()
  }
}

describe('PostgreSQL with TLS and a password', () => {
  test.each(['', '?sslmode=require', '?ssl=require', '?ssl=true', '?sslmode=prefer', '?sslmode=require&application_name=mine'])(
    'is reached with "%s"',
    async (query) => {
      expect(await connect(`${server.url}${query}`)).toBe('t,app')
      expect(await connect(`${server.url.replace('postgres:', 'postgresql+asyncpg:')}${query}`)).toBe('t,app')
    },
  )

  test('is trusted with the certificate of its CA, and only for its own name', async () => {
    const ca = `sslrootcert=${encodeURIComponent(server.caFile)}`
    expect(await connect(`${server.url}?sslmode=verify-full&${ca}`)).toBe('t,app')
    expect(await connect(`${server.url.replace('127.0.0.1', 'localhost')}?sslmode=verify-full&${ca}`)).toBe('t,app')
    expect(await connect(`${server.url}?sslmode=verify-full`)).toStartWith('unavailable:')
    const other = server.url.replace('127.0.0.1', '127.0.0.2')
    expect(await connect(`${other}?sslmode=verify-full&${ca}`)).toStartWith('unavailable:')
    expect(await connect(`${other}?sslmode=verify-ca&${ca}`)).toBe('t,app')
    expect(await connect(`${other}?sslmode=verify-ca`)).toStartWith('unavailable:')
  })

  test('refuses a wrong password, and a connection without TLS', async () => {
    const refused = 'unavailable: PostgreSQL refused the user or the password.'
    expect(await connect(`${server.url.replace('%23t', '%23T')}?sslmode=require`)).toBe(refused)
    expect(await connect(`${server.url}?sslmode=disable`)).toBe(refused)
  })
})
