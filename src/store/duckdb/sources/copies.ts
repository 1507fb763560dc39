import type { Copy, RunOptions, SourceEngine } from '../../ports/source-engine.ts'
import { ownDeadline } from '../connection/own-deadline.ts'
import type { Session } from '../connection/session.ts'

/** Copies are the session's own, as its list of rows is. */
export async function withCopies<T>(
  session: Session,
  copies: readonly Copy[],
  options: RunOptions,
  work: (query: SourceEngine['query']) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs
  const left = (): RunOptions => ({ signal: options.signal, timeoutMs: deadline - performance.now() })
  try {
    for (const { name, text, parameters } of copies) await session.read(`CREATE TEMP TABLE ${name} AS ${text}`, parameters, left())
    return await work((text, parameters, own) => session.select(text, parameters, own))
  } finally {
    await session.execute(copies.map(({ name }) => `DROP TABLE IF EXISTS ${name};`).join('\n'), ownDeadline())
  }
}
