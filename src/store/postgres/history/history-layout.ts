/**
 * Which layout history has, as far as this process knows. Another process may finish the schema at any time. What reads is right all the same, since the
 * plain table's name is then that of a view over both, only slower; what writes is refused by that view, whole, and does it once more as it is now.
 */
import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres } from '../connection/postgres.ts'
import type { HistoryLayout } from './history-rows.ts'

export interface KnownLayout {
  /** @throws SqlError */
  current(): Promise<HistoryLayout>
  /** Work that may be done twice where it fails. @throws SqlError, and what it throws. */
  within<T>(work: (layout: HistoryLayout) => Promise<T>): Promise<T>
}

const LOOK_MS = 10_000
/** What is known for so long is looked at again, unless it can change no more. */
const TRUSTED_MS = 30_000
/** A view where a table was thought to be, or the other way round: cannot be written, cannot be sampled, is not there. */
const CHANGED = ['55000', '42809', '42P01', '0A000']

const LOOK = "SELECT to_regclass('fabra.history_plain') IS NOT NULL"
const HAS_PLAIN = 'SELECT EXISTS (SELECT FROM fabra.history_plain)'

export function createKnownLayout(postgres: Postgres): KnownLayout {
  let known: { readonly layout: HistoryLayout; readonly at: number } | undefined
  let looking: Promise<HistoryLayout> | undefined
  const ask = async (text: string) => (await postgres.run(text, [], { timeoutMs: LOOK_MS, readOnly: true })).rows[0]?.[0] === 't'
  const look = async (): Promise<HistoryLayout> => {
    const at = performance.now()
    const layout = !(await ask(LOOK)) ? 'plain' : (await ask(HAS_PLAIN)) ? 'both' : 'packed'
    known = { layout, at }
    return layout
  }
  const lookOnce = () => {
    looking ??= look().finally(() => {
      looking = undefined
    })
    return looking
  }
  const current = async () => {
    const isTrusted = known && (known.layout === 'packed' || performance.now() - known.at < TRUSTED_MS)
    return known && isTrusted ? known.layout : lookOnce()
  }
  return {
    current,
    async within(work) {
      const layout = await current()
      try {
        return await work(layout)
      } catch (error) {
        const mayHaveChanged = error instanceof PostgresSqlError && error.state !== null && CHANGED.includes(error.state)
        if (!mayHaveChanged) throw error
        const now = await look()
        if (now === layout) throw error
        return work(now)
      }
    },
  }
}
