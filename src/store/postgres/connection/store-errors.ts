import { FabraError } from '../../../errors.ts'
import { RefusedRows } from '../../ports/offline-store.ts'
import { SqlError } from '../../ports/source-engine.ts'
import { PostgresSqlError } from './errors.ts'

/** What a caller of Fabra's own statements is told. They are right, so it is the server that failed. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error
  if (error instanceof PostgresSqlError && error.inCommit) {
    return new FabraError('outcome_unknown', 'PostgreSQL did not answer in the middle of a commit: what was sent may be stored or not.', {
      hint: 'Send it again: what is there already is not stored twice.',
      cause: error,
    })
  }
  return new FabraError('store_unavailable', sentence(error), { hint: hint(error), cause: error })
}

export async function storeErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStoreError(error)
  }
}

/** An error of an append as the recorder is told it. @param texts What was to be stored of each row. */
export function asAppendError(error: unknown, texts: (index: number) => readonly (string | null)[], count: number): unknown {
  const state = error instanceof PostgresSqlError && !error.inCommit ? error.state : null
  if (!(error instanceof PostgresSqlError) || state === null || !FOR_GOOD.test(state)) return asStoreError(error)
  return new RefusedRows(whyRefused(state), rowsWith(unstorableText(error), texts, count), error)
}

/**
 * Classes of errors that a row of its own brings about, today and tomorrow: data, constraints, limits of the server (an index row, say), what
 * triggers raise. All else may be mended without the row being changed: an outage, a full disk, rights, a schema that is missing or old.
 */
const FOR_GOOD = /^(?:22|23|44|54|P0)/

function whyRefused(state: string): string {
  if (state === '22021' || state === '22P05') return "it has a character that the database's encoding lacks"
  if (state.startsWith('54')) return 'it is larger than PostgreSQL can store, its key for example'
  if (state.startsWith('22')) return 'PostgreSQL has no such value'
  return 'a constraint or a trigger of the table does not let it in'
}

/** The character that the encoding lacks, which the server names by its bytes. */
function unstorableText({ state, message }: PostgresSqlError): string | null {
  if (state !== '22021' && state !== '22P05') return null
  const bytes = [...message.matchAll(/0x([0-9a-f]{2})/g)].map(([, hex]) => Number.parseInt(String(hex), 16))
  const text = new TextDecoder('utf-8', { fatal: false }).decode(new Uint8Array(bytes))
  return text === '' || text.includes('\uFFFD') ? null : text
}

/** Null: it is not known which, or none has it. */
function rowsWith(text: string | null, texts: (index: number) => readonly (string | null)[], count: number): number[] | null {
  if (text === null) return null
  const indexes = Array.from({ length: count }, (_, i) => i).filter((i) => texts(i).some((one) => one?.includes(text)))
  return indexes.length === 0 ? null : indexes
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
