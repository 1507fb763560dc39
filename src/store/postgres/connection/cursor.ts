import type { Parameter, Postgres, PostgresRows, WorkOptions } from './postgres.ts'

/** The reader went away: the transaction ends, and nobody needs to know. */
class Left extends Error {}

/**
 * Rows of a large answer, some thousands at a time, so that it is never whole in memory. Leaving early ends it. It holds a connection for as
 * long as its reader takes, at most until its deadline.
 */
export async function* readInBatches(
  postgres: Postgres,
  statement: { readonly text: string; readonly parameters: readonly Parameter[] },
  options: WorkOptions & { readonly batchRows: number },
): AsyncGenerator<PostgresRows['rows']> {
  let offered = Promise.withResolvers<PostgresRows['rows'] | undefined>()
  let wanted = Promise.withResolvers<boolean>()
  const work = postgres.transaction({ ...options, readOnly: true }, async (statements) => {
    await statements.run(`DECLARE fabra_answer NO SCROLL CURSOR FOR ${statement.text}`, statement.parameters)
    for (;;) {
      if (!(await wanted.promise)) throw new Left()
      wanted = Promise.withResolvers()
      const { rows } = await statements.run(`FETCH ${options.batchRows} FROM fabra_answer`)
      offered.resolve(rows)
      if (rows.length < options.batchRows) return
    }
  })
  work.then(
    () => offered.resolve(undefined),
    (error) => {
      offered.promise.catch(() => undefined)
      offered.reject(error)
    },
  )
  try {
    for (;;) {
      wanted.resolve(true)
      const rows = await offered.promise
      if (rows === undefined) return
      offered = Promise.withResolvers()
      if (rows.length > 0) yield rows
      if (rows.length < options.batchRows) break
    }
    await work
  } finally {
    wanted.resolve(false)
    await work.catch((error) => {
      if (!(error instanceof Left)) return undefined
    })
  }
}
