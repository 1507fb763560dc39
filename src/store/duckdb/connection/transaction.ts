import { ownDeadline } from './database.ts'
import type { Session } from './session.ts'

/** All of the work's statements or none of them; durable when it resolves. */
export async function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.execute('BEGIN', ownDeadline())
  try {
    const result = await work()
    await session.execute('COMMIT', ownDeadline())
    return result
  } catch (error) {
    await session.execute('ROLLBACK', ownDeadline()).catch(() => undefined)
    throw error
  }
}
