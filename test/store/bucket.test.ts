/** Files in a bucket, on a real server of S3: they are there whole or not at all, and what goes wrong is said without a credential. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3Client } from 'bun'
import { openBucket } from '../../src/app/archive/bucket.ts'
import { examineArchive } from '../../src/app/doctor-archive.ts'
import { readConfig } from '../../src/config/config.ts'
import { FabraError } from '../../src/errors.ts'
import { temporaryFolder } from '../support/binary.ts'
import { CREDENTIALS, type ObjectStore, startLine, startObjectStore } from '../support/object-store.ts'

setDefaultTimeout(120_000)

let store: ObjectStore
let raw: S3Client
let folder: string
beforeAll(async () => {
  store = await startObjectStore()
  raw = await store.makeBucket('rows')
  folder = temporaryFolder()
})
afterAll(async () => {
  await store?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const file = async (bytes: number) => {
  const path = join(folder, `${crypto.randomUUID()}.parquet`)
  await Bun.write(path, new Uint8Array(bytes).fill(7))
  return path
}
const failureOf = async (work: () => Promise<unknown>) => {
  const error = await work().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof FabraError)) throw new Error(`No failure of ours: ${error}`)
  const said = `${error.message} ${error.hint}`
  for (const secret of Object.values(CREDENTIALS)) expect(said).not.toContain(secret as string)
  return { code: error.code, said }
}

test('are written, listed, read and removed below their place, large ones in parts', async () => {
  const bucket = openBucket('s3://rows/some/place/', store.settings())
  await bucket.put('a/one.json', 'one')
  await bucket.put('a/one.json2', 'two')
  expect(await bucket.read('a/one.json')).toBe('one')
  expect([await bucket.exists('a/one.json'), await bucket.exists('a/one')]).toEqual([true, false])
  expect((await bucket.list('a/')).map(({ key }) => key)).toEqual(['a/one.json', 'a/one.json2'])
  for (const { ageMs } of await bucket.list('a/')) expect(Math.abs(ageMs)).toBeLessThan(600_000)
  await bucket.remove('a/one.json')
  await bucket.remove('a/one.json')
  expect((await bucket.list('')).map(({ key }) => key)).toEqual(['a/one.json2'])
  const large = await file(20_000_001)
  await bucket.upload('a/large.parquet', large)
  expect(await raw.stat('some/place/a/large.parquet')).toMatchObject({ size: 20_000_001, etag: expect.stringContaining('-3"') })
  const whole = openBucket('s3://rows', store.settings())
  await whole.upload('small.parquet', await file(1))
  expect(await whole.exists('some/place/a/large.parquet')).toBe(true)
})

test('more than one answer lists are all found', async () => {
  const bucket = openBucket('s3://rows/many', store.settings(), { callMs: 15_000, uploadMs: 60_000, listKeys: 2 })
  const keys = ['a', 'b', 'c', 'd', 'e']
  for (const key of keys) await bucket.put(key, '')
  expect((await bucket.list('')).map(({ key }) => key)).toEqual(keys)
})

test('say what is wrong: no bucket, no credentials, credentials that nobody knows, no rights, and nobody there', async () => {
  const none = openBucket('s3://nobody-made-it', store.settings())
  for (const work of [() => none.put('a', 'b'), () => none.list(''), () => none.exists('a'), async () => none.upload('a', await file(10))])
    expect(await failureOf(work)).toEqual({ code: 'io_failed', said: expect.stringContaining('There is no bucket "nobody-made-it".') })
  expect(() => openBucket('s3://rows', store.settings({ credentials: null }))).toThrow('needs credentials')
  for (const wrong of ['s3://', 's3://a', 's3://rows/a b', 's3://rows/../other', 's3://user:word@rows/a'])
    expect(() => openBucket(wrong, store.settings())).toThrow('no bucket with a path')
  const away = openBucket('s3://rows', store.settings({ endpoint: 'http://127.0.0.1:1' }))
  expect((await failureOf(() => away.list(''))).said).toContain('cannot be reached')
  const user = await store.makeUser('nobody')
  await store.askForRights(true)
  try {
    const unknown = openBucket('s3://rows', store.settings())
    for (const work of [() => unknown.list(''), () => unknown.put('a', 'b')])
      expect((await failureOf(work)).said).toContain('does not take the credentials')
    const forged = openBucket('s3://rows', store.settings({ credentials: { ...user, secretAccessKey: 'another' } }))
    expect((await failureOf(() => forged.list(''))).said).toContain('does not take the credentials')
    const denied = openBucket('s3://rows', store.settings({ credentials: user }))
    for (const work of [() => denied.list(''), () => denied.put('a', 'b')]) expect((await failureOf(work)).said).toContain('s3:PutObject')
  } finally {
    await store.askForRights(false)
  }
})

test('are looked for by doctor, where what leaves goes there', async () => {
  const found = (bucket: string) =>
    examineArchive(readConfig({ ...store.env, FABRA_ARCHIVE_DIR: bucket }, { cwd: folder, terminal: false }))
  expect(await found('archive')).toEqual([])
  expect(await found('s3://rows/archive')).toMatchObject([{ state: 'ok', message: 's3://rows/archive can be looked into' }])
  expect(await found('s3://nobody-made-it')).toMatchObject([{ state: 'problem', fix: expect.stringContaining('Make it first') }])
})

test('an upload that is cut leaves no object, and one that nobody answers ends by its deadline', async () => {
  await using line = await startLine(store)
  line.cutAfter(1_000_000)
  const cut = openBucket('s3://rows/cut', store.settings({ endpoint: line.url }))
  for (const bytes of [4_000_000, 20_000_000])
    expect((await failureOf(async () => cut.upload('half.parquet', await file(bytes)))).said).not.toContain('(Timeout)')
  expect(await raw.list({ prefix: 'cut/' })).toMatchObject({ keyCount: 0 })
  line.cutAfter(null)
  line.hold()
  const bucket = openBucket('s3://rows/cut', store.settings({ endpoint: line.url }), { callMs: 300, uploadMs: 300, listKeys: 1_000 })
  for (const work of [
    () => bucket.put('a', 'b'),
    () => bucket.list(''),
    () => bucket.read('a'),
    () => bucket.exists('a'),
    () => bucket.remove('a'),
    async () => bucket.upload('b', await file(9)),
  ])
    expect((await failureOf(work)).said).toContain('(Timeout)')
})
