/** PostgreSQL's history as it is before, while and after its schema is finished. */

import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import type { KnownLayout } from '../../src/store/postgres/history/history-layout.ts'
import type { HistoryLayout } from '../../src/store/postgres/history/history-rows.ts'

export function fixedLayout(layout: HistoryLayout): KnownLayout {
  return { current: async () => layout, within: (work) => work(layout) }
}

/** What is said of the plain table by the name that it had before. */
export function renamed(postgres: Postgres): Postgres {
  const now = (text: string) => text.replace(/fabra\.feature_history\b/g, 'fabra.history_plain')
  return {
    ...postgres,
    run: (text, ...rest) => postgres.run(now(text), ...rest),
    transaction: (options, work) =>
      postgres.transaction(options, (statements) =>
        work({
          ...statements,
          run: (text, ...rest) => statements.run(now(text), ...rest),
          script: (text) => statements.script(now(text)),
        }),
      ),
  }
}
