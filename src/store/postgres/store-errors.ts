import { FabraError } from '../../errors.ts'
import { SqlError } from '../source-store.ts'
import { PostgresSqlError } from './postgres-errors.ts'

/** What a caller of Fabra's own statements is told. They are right, so it is the server that failed. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error
  return new FabraError('store_unavailable', sentence(error), { hint: hint(error), cause: error })
}

export async function storeErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStoreError(error)
  }
}

function sentence(error: SqlError): string {
  if (error.kind === 'unavailable') return error.message
  return error.kind === 'timeout' ? 'PostgreSQL did not answer in time.' : 'PostgreSQL refused to store or read.'
}

function hint(error: SqlError): string {
  const state = error instanceof PostgresSqlError ? error.state : null
  if (state === '42P01' || state === '3F000' || state === '42703')
    return 'Run "fabra migrate": the schema "fabra" is missing or older than this executable.'
  if (state === '42501') return 'Give the role of FABRA_POSTGRES_URL the rights to read and write the schema "fabra".'
  if (state?.startsWith('28') || state?.startsWith('3D')) return 'Check the user, password and database of FABRA_POSTGRES_URL.'
  if (state === '53300') return 'Raise max_connections of the server, or put a pooler before it.'
  return 'Check that the server of FABRA_POSTGRES_URL is up, that its disk is not full, and its log.'
}
