/**
 * History of one feature that leaves by months, into an archive; and a process that does it and ends itself, hard, before a statement:
 * `bun leaving-worker.ts <url> <archive> <feature> <part of the statement>`.
 */
import { createArchive } from '../../src/app/archive/archive.ts'
import { createOldHistory } from '../../src/app/old-history.ts'
import type { Feature } from '../../src/definition/model.ts'
import { silentLogger as log } from '../../src/observability/logger.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import { createPostgresArchiveMarks } from '../../src/store/postgres/archive-marks.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { createPostgresHistoryRemoval } from '../../src/store/postgres/history/history-removal.ts'
import { movableClock } from './clock.ts'
import { pushedRegistry } from './training-bench.ts'

const DAY = 86_400_000_000
const NOW = Date.UTC(2026, 5, 1) * 1_000

/** Something happens before a statement. */
export function watched(postgres: Postgres, before: (text: string) => Promise<unknown>): Postgres {
  return {
    ...postgres,
    run: async (text, ...rest) => before(text).then(() => postgres.run(text, ...rest)),
    transaction: (options, work) =>
      postgres.transaction(options, (statements) =>
        work({
          ...statements,
          run: async (text, ...rest) => before(text).then(() => statements.run(text, ...rest)),
          script: async (text) => before(text).then(() => statements.script(text)),
        }),
      ),
  }
}

/** One sweep, by which all is kept for 30 days. */
export async function sweepMonths(postgres: Postgres, folder: string, name: string): Promise<number> {
  const registry = pushedRegistry({ [name]: { type: 'string', keep: 30 * DAY } })
  const sweeper = createOldHistory({
    removal: createPostgresHistoryRemoval(postgres, { leastBytes: 0, leastShare: 0 }),
    archive: createArchive({ folder, marks: createPostgresArchiveMarks(postgres), log }),
    keyOf: (feature: Feature) => registry.entities.get(feature.entity)?.key ?? [],
    leases: createMemoryLeaseStore(() => 0),
    features: () => registry.features.values(),
    keep: null,
    clock: movableClock(NOW),
    log,
  })
  const removed = await sweeper.sweep()
  await sweeper.close()
  return removed
}

if (import.meta.main) {
  const [url = '', folder = '', name = '', end = ''] = process.argv.slice(2)
  const killed = () => {
    process.kill(process.pid, 'SIGKILL')
    return new Promise<never>(() => undefined)
  }
  const postgres = openPostgres({ url })
  const dying = watched(postgres, async (text) => text.includes(end) && killed())
  await sweepMonths(dying, folder, name)
  await postgres.close()
}
