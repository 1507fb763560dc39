import { describe, expect, jest, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { warnWhileOpen } from '../src/app/open-to-all.ts'
import { run } from '../src/cli/run.ts'
import { requireKeyring } from '../src/config/bound-address.ts'
import { cacheFolders } from '../src/config/cache-folders.ts'
import { readConfig, requireProduction } from '../src/config/config.ts'
import { secretsOf } from '../src/config/secrets.ts'
import { FabraError } from '../src/errors.ts'
import { unpackFolders } from '../src/store/duckdb/native/unpack-folders.ts'

const HASH = 'ab'.repeat(32)
const read = (env: Record<string, string>) => readConfig(env, { cwd: '/srv', terminal: false })

function refusal(action: () => unknown): FabraError {
  try {
    action()
  } catch (error) {
    if (error instanceof FabraError) return error
    throw error
  }
  throw new Error('Nothing was refused.')
}

describe('production', () => {
  test('names all that is missing, and how to mend it', () => {
    const error = refusal(() => requireProduction(read({ FABRA_ENV: 'production' })))
    expect(error.code).toBe('invalid_config')
    for (const one of ['FABRA_POSTGRES_URL', 'FABRA_REDIS_URL', 'an API key']) expect(error.message).toContain(one)
    expect(error.hint).toContain('fabra keys create')
  })

  test('names only what is missing', () => {
    const env = { FABRA_ENV: 'production', FABRA_POSTGRES_URL: 'postgres://u:p@db/x', FABRA_API_KEYS: `${HASH}:read` }
    const error = refusal(() => requireProduction(read(env)))
    expect(error.message).toContain('Missing: FABRA_REDIS_URL.')
  })

  test('takes the names that platforms set, and its own before them', () => {
    const platform = { DATABASE_URL: 'postgres://a@db/x', REDIS_URL: 'redis://r', PORT: '80' }
    const production = read({ ...platform, FABRA_ENV: 'production' })
    expect(production).toMatchObject({ postgresUrl: platform.DATABASE_URL, redisUrl: platform.REDIS_URL, port: 80, host: '0.0.0.0' })
    const own = { FABRA_POSTGRES_URL: 'postgresql+asyncpg://b@db/y', FABRA_REDIS_URL: 'rediss://s', FABRA_PORT: '81', FABRA_HOST: '::1' }
    expect(read({ ...platform, ...own, FABRA_ENV: 'production' })).toMatchObject({
      postgresUrl: own.FABRA_POSTGRES_URL,
      port: 81,
      host: '::1',
    })
    expect(read(platform)).toMatchObject({ postgresUrl: null, redisUrl: null, port: 8000, host: '127.0.0.1' })
  })
})

describe('addresses of stores', () => {
  test.each([
    ['FABRA_POSTGRES_URL', 'mysql://user:secret@db/x'],
    ['FABRA_POSTGRES_URL', 'secret'],
    ['FABRA_POSTGRES_URL', 'postgres://user:secret#1@db/x'],
    ['FABRA_SOURCE_URL', 'postgres:///secret'],
    ['FABRA_REDIS_URL', 'http://:secret@r'],
    ['FABRA_REDIS_URL', 'redis://'],
  ])('a wrong %s is refused without repeating it (%s)', (name, url) => {
    const error = refusal(() => read({ [name]: url }))
    expect(error.message).toContain(name)
    expect(error.message).not.toContain('secret')
  })
})

describe('names of the server', () => {
  test('stand in a list, with ports and in capitals as people write them', () => {
    const { hosts } = read({ FABRA_HOSTS: ' Features.example.com, 10.0.0.5:8000 [::1]\n2001:db8::1,my_features ' })
    expect(hosts).toEqual(['features.example.com', '10.0.0.5', '[::1]', '[2001:db8::1]', 'my_features'])
    expect(read({}).hosts).toEqual([])
  })

  test.each(['https://features.example', 'features.example/x', '*.example', '*', 'a..b', '256.0.0.1', 'u@h', 'h?'])(
    '%s is none',
    (name) => {
      const error = refusal(() => read({ FABRA_HOSTS: `ok.example,${name}` }))
      expect(error.message).toContain(`FABRA_HOSTS: "${name}" is no name of a host`)
    },
  )
})

test('origins of pages are written in full, as browsers do', () => {
  const { origins } = read({
    FABRA_ORIGINS: ' https://App.example.com, http://localhost:5173\nhttps://shop.example:443/ http://[::1]:3000',
  })
  expect(origins).toEqual(['https://app.example.com', 'http://localhost:5173', 'https://shop.example', 'http://[::1]:3000'])
  expect(read({}).origins).toEqual([])
  const none = [
    '*',
    'null',
    'app.example.com',
    'https://*.example.com',
    'https://a.example/x',
    'https://u@a.example',
    'ftp://a.example',
    'https://',
    'http://a..b',
  ]
  for (const origin of none) {
    const error = refusal(() => read({ FABRA_ORIGINS: `https://ok.example,${origin}` }))
    expect(error.message).toContain(`FABRA_ORIGINS: "${origin}" is no origin of a page`)
  }
})

test('the time of one computation in a request is a duration, written as elsewhere', () => {
  const timeoutOf = (text: string) => read({ FABRA_REQUEST_TIMEOUT: text }).requestTimeoutMs
  expect(['', '500ms', '5s', '1m30s', '1h'].map(timeoutOf)).toEqual([1_000, 500, 5_000, 90_000, 3_600_000])
  for (const text of ['5', '0s', '-1s', '2h', 'soon', '1e3ms']) {
    const error = refusal(() => timeoutOf(text))
    expect(error.code).toBe('invalid_config')
    expect(error.message).toContain(`FABRA_REQUEST_TIMEOUT="${text}" is not a duration from 1ms to 1h, such as 500ms or 5s.`)
  }
})

describe('the port of metrics', () => {
  test('is none unless given, and never the port of the server', () => {
    expect(read({}).metricsPort).toBeNull()
    expect(read({ FABRA_METRICS_PORT: '9091' }).metricsPort).toBe(9091)
    for (const [port, own] of [
      ['8000', ''],
      ['90', '90'],
      ['x', ''],
      ['65536', ''],
    ] as const)
      expect(refusal(() => read({ FABRA_METRICS_PORT: port, FABRA_PORT: own })).message).toContain('FABRA_METRICS_PORT')
  })
})

test.each([
  'postgresql+asyncpg://u:p%23@db/x?ssl=require',
  'postgres://u@a:1,b:2/x?target_session_attrs=primary',
  'postgres://u@[::1]:5432/x',
  'postgresql:///x?host=/var/run/postgresql',
])('FABRA_POSTGRES_URL may be %s', (url) => {
  expect(read({ FABRA_POSTGRES_URL: url }).postgresUrl).toBe(url)
})

describe('API keys of the environment', () => {
  test('come from a list and from a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fabra-config-'))
    const file = join(folder, 'keys')
    writeFileSync(file, `# the app\n${HASH.toUpperCase()}:read+write\n\n`)
    const { apiKeys } = read({ FABRA_API_KEYS: `${'01'.repeat(32)}:admin`, FABRA_API_KEYS_FILE: file })
    rmSync(folder, { recursive: true })
    expect(apiKeys).toEqual([
      { hash: '01'.repeat(32), scopes: ['admin'] },
      { hash: HASH, scopes: ['read', 'write'] },
    ])
  })

  test.each([['fab_plainkey:read'], [`${HASH}:root`], [HASH]])('%s is refused, and not repeated', (entry) => {
    const error = refusal(() => read({ FABRA_API_KEYS: entry }))
    expect(error.message).toContain('entry 1')
    expect(error.message).not.toContain('plainkey')
  })

  test('a file that cannot be read is named', () => {
    expect(refusal(() => read({ FABRA_API_KEYS_FILE: '/nowhere/keys' })).message).toContain('/nowhere/keys')
  })
})

describe('the native library is unpacked', () => {
  test('into the folder that FABRA_CACHE_DIR names, else the cache folder of the user, else the temporary one', () => {
    const env = { FABRA_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b', HOME: '/c', TMPDIR: '/d' }
    expect(cacheFolders(env)).toEqual(['/a', '/b/fabra', '/c/.cache/fabra', `/d/fabra-${process.getuid?.()}`])
    expect(cacheFolders({})).toEqual([`/tmp/fabra-${process.getuid?.()}`])
  })

  test('where the environment of the command says, which need not be that of the process', async () => {
    const env = { FABRA_CACHE_DIR: '/elsewhere' }
    const host = { stdout() {}, stderr() {}, cwd: '/srv', env, stdoutIsTerminal: false, stderrIsTerminal: false, onSignal() {} }
    expect(await run(['version'], host)).toBe(0)
    expect(unpackFolders()).toEqual(cacheFolders(env))
    expect(unpackFolders()[0]).toBe('/elsewhere')
  })
})

describe('user code in worker processes', () => {
  const env = {
    PATH: '/bin',
    MODEL_URL: 'http://model',
    FABRA_POSTGRES_URL: 'postgres://u:secret@h/x',
    FABRA_API_KEYS: `${HASH}:read`,
    FABRA_WEBHOOK_URL: 'https://hooks/secret',
    FABRA_WEBHOOK_SECRET: 'secret',
    FABRA_PORT: '8000',
    DATABASE_URL: 'postgres://platform',
  }

  test('has all of the environment but what is the server’s own', () => {
    expect(read(env).python.workerEnv).toEqual({
      PATH: '/bin',
      MODEL_URL: 'http://model',
      FABRA_PORT: '8000',
      DATABASE_URL: 'postgres://platform',
    })
    const { FABRA_POSTGRES_URL: _, ...without } = env
    expect(read({ ...without, FABRA_ENV: 'production' }).python.workerEnv).not.toHaveProperty('DATABASE_URL')
  })

  test('has the credentials of a bucket as long as the server has no use for them', () => {
    const credentials = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret', AWS_SESSION_TOKEN: 'token' }
    const seen = (more: Readonly<Record<string, string>>) => {
      const { workerEnv } = read({ ...credentials, ...more }).python
      return Object.keys(workerEnv).filter((name) => name in credentials)
    }
    expect(seen({ FABRA_ARCHIVE_DIR: '/srv/archive' })).toEqual(Object.keys(credentials))
    expect(seen({ FABRA_ARCHIVE_DIR: 's3://bucket/archive' })).toEqual([])
    expect(seen({ FABRA_ARCHIVE_DIR: 's3://bucket/archive', FABRA_WORKER_ENV: 'AWS_SESSION_TOKEN' })).toEqual(['AWS_SESSION_TOKEN'])
  })

  test('is given what FABRA_WORKER_ENV names all the same', () => {
    const names = 'DATABASE_URL, FABRA_WEBHOOK_SECRET'
    const { FABRA_POSTGRES_URL: _, ...without } = env
    const given = read({ ...without, FABRA_ENV: 'production', FABRA_WORKER_ENV: names }).python.workerEnv
    expect([given['DATABASE_URL'], given['FABRA_WEBHOOK_SECRET'], given['FABRA_WEBHOOK_URL']]).toEqual([
      'postgres://platform',
      'secret',
      undefined,
    ])
  })

  test('may hold 1 GiB unless FABRA_WORKER_MEMORY says otherwise', () => {
    expect(read({}).python.memory).toBe(2 ** 30)
    expect(read({ FABRA_WORKER_MEMORY: '512MiB' }).python.memory).toBe(2 ** 29)
    expect(refusal(() => read({ FABRA_WORKER_MEMORY: 'much' })).message).toContain('FABRA_WORKER_MEMORY="much"')
  })
})

test('history is kept as the store began unless days or weeks are said', () => {
  const day = 86_400_000_000
  const kept = ['', '400d', '2w', ' 1D ', 'forever', ' Forever'].map((text) => read({ FABRA_HISTORY_KEEP: text }).historyKeep)
  expect(kept).toEqual(['as the store began', 400 * day, 14 * day, day, null, null])
  for (const text of ['0d', '400', '12h', 'ever', '-1d', '1.5d', '40000d', '1d 2d'])
    expect(refusal(() => read({ FABRA_HISTORY_KEEP: text })).message).toContain(`FABRA_HISTORY_KEEP="${text}"`)
})

test('history of a feature may grow to 50 GB in a year before it is warned of', () => {
  const sizes = ['', '500MB', '2 TB', '1GiB'].map((text) => read({ FABRA_STORAGE_WARN: text }).storageWarn)
  expect(sizes).toEqual([50e9, 500e6, 2e12, 2 ** 30])
  for (const text of ['0GB', '50', 'much', '-1GB'])
    expect(refusal(() => read({ FABRA_STORAGE_WARN: text })).message).toContain(`FABRA_STORAGE_WARN="${text}"`)
})

test('what leaves is archived in a folder or in a bucket, whose keys are secrets', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'the-id', AWS_SECRET_ACCESS_KEY: 'the-key', AWS_SESSION_TOKEN: 'the-token' }
  const places = ['', 'archive', '/archive', 's3://bucket/some/place/', 's3://bucket'].map((text) =>
    read({ ...keys, FABRA_ARCHIVE_DIR: text }),
  )
  expect(places.map(({ archiveDir }) => archiveDir)).toEqual([null, '/srv/archive', '/archive', 's3://bucket/some/place', 's3://bucket'])
  expect(places.map((config) => secretsOf(config))).toEqual([[], [], [], Object.values(keys), Object.values(keys)])
  expect(read({ AWS_REGION: 'eu-central-1' }).objectStore).toEqual({
    region: 'eu-central-1',
    endpoint: 'https://s3.eu-central-1.amazonaws.com',
    credentials: null,
  })
  expect(read({ AWS_DEFAULT_REGION: 'eu-west-1', AWS_ENDPOINT_URL: 'http://localhost:9000' }).objectStore.endpoint).toBe(
    'http://localhost:9000',
  )
  const refusals: [Record<string, string>, string][] = [
    [{ FABRA_ARCHIVE_DIR: 'gs://bucket' }, 'neither a folder nor an s3:// address'],
    [{ FABRA_ARCHIVE_DIR: 's3://bucket/some place', ...keys }, 'is no bucket with a path'],
    [{ FABRA_ARCHIVE_DIR: 's3://bucket', AWS_ACCESS_KEY_ID: 'the-id' }, 'It needs credentials. Set AWS_ACCESS_KEY_ID'],
    [{ FABRA_ARCHIVE_DIR: 's3://bucket', ...keys, AWS_ENDPOINT_URL: 'localhost:9000' }, 'AWS_ENDPOINT_URL is not'],
  ]
  for (const [env, message] of refusals) expect(refusal(() => read(env)).message).toContain(message)
})

describe('an address that other machines reach', () => {
  const key = `${'01'.repeat(32)}:read`
  test.each([
    '0.0.0.0',
    '::',
    '[::]',
    '192.168.1.7',
    'my-laptop.local',
    '127.0.0.1.example.com',
    '::ffff:10.0.0.1',
    '1270.0.0.1',
    'localhost.',
  ])('%s asks for keys, unless it is told that everybody may come in', (host) => {
    const error = refusal(() => requireKeyring(read({ FABRA_HOST: host })))
    expect(error.code).toBe('invalid_config')
    expect(`${error.message} ${error.hint}`).toContain('fabra keys create')
    requireKeyring(read({ FABRA_HOST: host, FABRA_API_KEYS: key }))
    requireKeyring(read({ FABRA_HOST: host, FABRA_INSECURE: '1' }))
    requireKeyring(read({ FABRA_HOST: host, FABRA_ENV: 'production' }))
  })

  test.each(['127.0.0.1', '127.0.0.53', 'localhost', '::1', '[::1]', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])('is none of %s', (host) => {
    requireKeyring(read({ FABRA_HOST: host }))
  })

  test('is refused by fabra serve before anything is opened', async () => {
    let stderr = ''
    const exitCode = await run(['serve', '--host', '0.0.0.0'], {
      stdout: () => undefined,
      stderr(text) {
        stderr += text
      },
      cwd: '/tmp',
      env: {},
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      onSignal: () => undefined,
    })
    expect(exitCode).toBe(2)
    expect(stderr).toContain('no API key is asked for')
    expect(stderr).toContain('--insecure')
  })

  test('without keys is told of at once and every minute, and no more when the server has stopped', () => {
    jest.useFakeTimers()
    try {
      const said: string[] = []
      const stop = warnWhileOpen(read({ FABRA_HOST: '0.0.0.0' }), { warn: (message) => void said.push(message) })
      jest.advanceTimersByTime(125_000)
      expect(said).toHaveLength(3)
      expect(said[0]).toContain('0.0.0.0')
      stop()
      jest.advanceTimersByTime(125_000)
      expect(said).toHaveLength(3)
      warnWhileOpen(read({}), { warn: (message) => void said.push(message) })
      expect(said).toHaveLength(3)
    } finally {
      jest.useRealTimers()
    }
  })
})

test('what is recorded is auto or changes, for a share of keys; anything else is refused by name', () => {
  expect([read({}).historyMode, read({ FABRA_HISTORY: 'changes' }).historyMode, read({}).historySample]).toEqual([null, 'changes', 0.01])
  expect(['0', '1', '.5', '0.001'].map((text) => read({ FABRA_HISTORY_SAMPLE: text }).historySample)).toEqual([0, 1, 0.5, 0.001])
  for (const [name, text] of [
    ['FABRA_HISTORY', 'all'],
    ['FABRA_HISTORY_SAMPLE', '1%'],
    ['FABRA_HISTORY_SAMPLE', '1.5'],
    ['FABRA_HISTORY_SAMPLE', '-1'],
  ] as const)
    expect(() => read({ [name]: text })).toThrow(`${name}="${text}"`)
})
