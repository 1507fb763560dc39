import { type SourceEngine, SqlError } from '../ports/source-engine.ts'
import type { TrainingEngine } from '../ports/training-engine.ts'
import { readInBatches } from './connection/cursor.ts'
import type { Postgres } from './connection/postgres.ts'
import { asStoreError, storeErrors } from './connection/store-errors.ts'
import { createCopyRows } from './copied-rows.ts'
import { createKnownLayout } from './history/history-layout.ts'
import { guessRecorded, hasRecorded, recorded, recordedAsOf } from './history/history-sql.ts'

const BATCH_ROWS = 5_000
/** Compiling a plan takes longer than it saves, and one look is for one row. */
const SEEK = { jit: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off' } as const
const READ_MS = 10_000
/** The earliest time there is. */
const EVER = -(2 ** 53) + 1

export interface PostgresTrainingDependencies {
  /** Where history is. */
  readonly postgres: Postgres
  /** Where users' SQL runs. */
  readonly reader: Postgres
  /** Says what a statement is, and that it is one SELECT. */
  readonly sourceEngine: Pick<SourceEngine, 'prepare'>
}

export function createPostgresTrainingEngine({ postgres, reader, sourceEngine }: PostgresTrainingDependencies): TrainingEngine {
  const copyRows = createCopyRows(reader)
  const layout = createKnownLayout(postgres)
  return {
    name: 'PostgreSQL',
    async query(sql, options, begin) {
      const take = begin((await sourceEngine.prepare(sql)).columns)
      const text = sql.replace(/[\s;]+$/, '')
      await unlessGone(async () => {
        for await (const rows of readInBatches(reader, { text, parameters: [] }, { ...options, batchRows: BATCH_ROWS })) await take(rows)
      })
    },
    async recorded({ feature, fingerprint, keys, from, to }, options, take) {
      await unlessGone(async () => {
        const statement = { text: recorded(await layout.current()), parameters: [feature, fingerprint, keys, from ?? EVER, to] }
        for await (const rows of readInBatches(postgres, statement, { ...options, batchRows: BATCH_ROWS })) await take(rows)
      })
    },
    async recordedCount(feature, fingerprint, options) {
      const asked = async () => postgres.run(guessRecorded(await layout.current()), [feature, fingerprint], { ...options, readOnly: true })
      const { rows } = await unlessGone(asked)
      const [{ Plan: plan }] = JSON.parse(rows.map(([line]) => line).join('')) as [{ Plan: { 'Plan Rows': number } }]
      return plan['Plan Rows']
    },
    async asOf(request, { keys, times }, options) {
      const parameters = [request.feature, request.fingerprint, keys, times]
      const asked = async () =>
        postgres.run(recordedAsOf(await layout.current(), request), parameters, { ...options, readOnly: true, settings: SEEK })
      return (await unlessGone(asked)).rows
    },
    copyRows: (tables, copying, options) => unlessGone(() => copyRows(tables, copying, options)),
    async hasHistory(feature, fingerprint) {
      const asked = async () =>
        postgres.run(hasRecorded(await layout.current()), [feature, fingerprint], { timeoutMs: READ_MS, readOnly: true })
      return (await storeErrors(asked)).rows.length > 0
    },
  }
}

/** A server that is gone is told as such, once and for all. */
async function unlessGone<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SqlError && error.kind === 'unavailable' ? asStoreError(error) : error
  }
}
