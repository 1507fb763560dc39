import { join, resolve } from 'node:path'
import { BINARY, type RunningFabra, startFabra, temporaryFolder } from '../../test/support/binary.ts'

const PROJECT = resolve(import.meta.dir, '../..')

/** The library is unpacked once for all benchmarks that do not ask for another folder. */
export const SHARED_CACHE = join(PROJECT, 'node_modules/.cache/fabra/unpacked')
export const EXAMPLE = join(PROJECT, 'examples/basic_features.ts')
export const FIRST_READ = '/v1/features/transaction_count_1h?entity_id=u1'
export { BINARY, temporaryFolder }

export function serveExample(cacheFolder = SHARED_CACHE): Promise<RunningFabra> {
  return startFabra({ file: EXAMPLE, env: { FABRA_CACHE_DIR: cacheFolder } })
}

/** @throws Error unless the answer is a 200. */
export async function read(server: RunningFabra, path: string): Promise<string> {
  const response = await fetch(`${server.url}${path}`)
  const body = await response.text()
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${body}`)
  return body
}
