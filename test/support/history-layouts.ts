/** PostgreSQL's history as it is before, while and after its schema is finished. */

import type { HistoryRow, OfflineStore } from '../../src/store/ports/offline-store.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import type { KnownLayout } from '../../src/store/postgres/history/history-layout.ts'
import type { HistoryLayout } from '../../src/store/postgres/history/history-rows.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'

function fixedLayout(layout: HistoryLayout): KnownLayout {
  return { current: async () => layout, within: (work) => work(layout) }
}

/** Of each append every other row is plain, as if it had been recorded before the schema was finished. */
export function plainAndPacked(postgres: Postgres, onProblem: (message: string, cause: unknown) => void): OfflineStore {
  const facts = { random: Math.random, onProblem }
  const old = createPostgresOfflineStore({ ...facts, postgres: renamed(postgres), layout: fixedLayout('plain') })
  const store = createPostgresOfflineStore({ ...facts, postgres, layout: fixedLayout('both') })
  return {
    ...store,
    async append(rows) {
      // Where something is pushed all of that point go together: two appends would take what is equal for a repeat, which one does not.
      const pointOf = (row: HistoryRow) => `${row.feature}@${row.fingerprint} ${row.entityKey} ${row.eventAt}`
      const pushed = new Map(rows.map((row, i) => [row.origin === 'pushed' ? pointOf(row) : '', i]))
      const parts: [HistoryRow[], HistoryRow[]] = [[], []]
      for (const [i, row] of rows.entries()) parts[(pushed.get(pointOf(row)) ?? i) % 2 === 0 ? 0 : 1].push(row)
      await old.append(parts[0])
      return store.append(parts[1])
    },
  }
}

/** What is said of the plain table by the name that it had before. */
function renamed(postgres: Postgres): Postgres {
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
