/**
 * Holds the data file in a process of its own, so that it can be killed. Arguments: the file, how many rows to append before it is said that
 * they are marked, how many to append behind the mark (or "on": until it is killed). Each acknowledged row's seq is printed.
 */
import { copyFileSync } from 'node:fs'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { markOf, readMark } from '../../src/store/duckdb/damage/mark.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { until } from './until.ts'

const [file = '', before = '0', behind = '0'] = process.argv.slice(2)
const store = createDuckdbOfflineStore(await openDatabase({ file }))
// Else it would be collected as garbage, and let go of the file.
Object.assign(globalThis, { held: store })
setInterval(() => undefined, 60_000)

let seq = await store.lastSeq()
async function append(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    seq += 1
    await store.append([row({ seq, entityKey: `u${seq}`, value: String(seq), createdAt: Date.now() * 1000 })])
    process.stdout.write(`${seq}\n`)
  }
}

const first = readMark(file)?.n ?? 0
await append(Number(before))
if (Number(before) > 0)
  await until('the mark', 30_000, async () => {
    const mark = readMark(file)
    return mark && mark.n > first && mark.rows?.history === seq ? true : undefined
  })
// Kept as it is now: under load the next one may come before the rows behind it are all there.
copyFileSync(markOf(file), `${markOf(file)}.kept`)
process.stdout.write('marked\n')
if (behind === 'on') for (;;) await append(1)
await append(Number(behind))
process.stdout.write('done\n')
