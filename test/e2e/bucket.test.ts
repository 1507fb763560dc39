/** The executable writes to a bucket, and tells no credential. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import type { S3Client } from 'bun'
import { runFabra } from '../support/binary.ts'
import { CREDENTIALS, type ObjectStore, startObjectStore } from '../support/object-store.ts'
import { EVENTS, HEAD, type ProjectFolder, projectFolder, VISITS } from '../support/project-folder.ts'

setDefaultTimeout(600_000)

let store: ObjectStore
let raw: S3Client
let folder: ProjectFolder
beforeAll(async () => {
  store = await startObjectStore()
  raw = await store.makeBucket('exports')
  folder = projectFolder({ 'features.ts': HEAD + VISITS, 'events.csv': EVENTS })
})
afterAll(async () => {
  await store?.[Symbol.asyncDispose]()
  folder?.[Symbol.dispose]()
})

test('rows of a source are exported to a bucket under the name that they have in a folder, once and whole', async () => {
  const exported = async (output: string, env: Readonly<Record<string, string | undefined>> = {}) => {
    const args = ['export', 'rows', '--source', 'events', '--before', '2100-01-01T00:00:00Z', '-o', output]
    const finished = await runFabra(args, { cwd: folder.path, env: { ...store.env, ...env } })
    for (const secret of Object.values(CREDENTIALS)) expect(finished.stdout + finished.stderr).not.toContain(secret as string)
    return finished
  }
  const name = 'events-before-2100-01-01T000000Z.parquet'
  expect(await exported('s3://exports/some/place/')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`some/place/${name}: `) })
  expect((await exported('.')).exitCode).toBe(0)
  const bytes = await Bun.file(join(folder.path, name)).bytes()
  expect(Buffer.from(await raw.file(`some/place/${name}`).arrayBuffer()).equals(bytes)).toBe(true)
  expect(await exported(`s3://exports/some/place/${name}`)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('is there already'),
  })
  expect(await exported('s3://nobody-made-it/')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('There is no bucket') })
  const without = await exported('s3://exports/', { AWS_SECRET_ACCESS_KEY: undefined })
  expect(without).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Set AWS_ACCESS_KEY_ID') })
  const away = await exported('s3://exports/', { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' })
  expect(away).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('io_failed: The store at 127.0.0.1:1 cannot be reached.') })
  expect((await raw.list()).contents?.length).toBe(1)
})
