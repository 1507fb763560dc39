/** A process that lets rows of the source "clicks" go, and ends itself, hard, where it is told to: `bun archive-worker.ts <data file> <archive> <place>`. */
import { createArchive } from '../../src/app/archive/archive.ts'
import { createOldRows } from '../../src/app/old-rows.ts'
import { silentLogger as log } from '../../src/observability/logger.ts'
import { createDuckdbArchiveMarks } from '../../src/store/duckdb/archive-marks.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbRowsRemoval } from '../../src/store/duckdb/sources/rows-removal.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import { CLICKS, KEEP, NOW } from './archived-clicks.ts'
import { movableClock } from './clock.ts'

const [file = '', folder = '', place = ''] = process.argv.slice(2)
const database = await openDatabase({ file })
const marks = createDuckdbArchiveMarks(database)
const archive = createArchive({ folder, marks, log })
const killed = () => {
  process.kill(process.pid, 'SIGKILL')
  return new Promise<never>(() => undefined)
}
const removal = createDuckdbRowsRemoval(database, 2)
let lots = 0
const sweeper = createOldRows({
  removal,
  archive: {
    ...archive,
    // In the middle of a transaction, its rows on the disk.
    taker:
      (...about) =>
      async (rows) => {
        const name = await archive.taker(...about)(rows)
        return place === 'taken' && ++lots === 2 ? killed() : name
      },
    // All lots are over.
    join: (where, when) => (place === 'left' && when !== 'many' ? killed() : archive.join(where, when)),
  },
  leases: createMemoryLeaseStore(() => 0),
  sources: () => [CLICKS],
  keep: KEEP,
  clock: movableClock(NOW),
  log,
})
await sweeper.sweep()
await sweeper.close()
await database.close()
