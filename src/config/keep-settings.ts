/** What is recorded, how long it stays, and where it goes when it leaves. */
import { isAbsolute, join } from 'node:path'
import type { Micros } from '../clock.ts'
import { bucketProblems, isBucketAddress, type ObjectStoreSettings, objectStoreSettings } from './object-store.ts'
import { keptFor, part, type reader, size } from './readers.ts'

export interface KeepSettings {
  /** What is recorded of features that do not say it; null: as the store began. */
  readonly historyMode: 'auto' | 'changes' | null
  /** Of keys, the share that is recorded where not all are. */
  readonly historySample: number
  /** How long computed values stay in history; null: for ever, but for features that say it themselves. */
  readonly historyKeep: Micros | 'as the store began' | null
  /** How long rows that are appended to sources stay; null: for ever. */
  readonly rowsKeep: Micros | null
  /** What leaves is written there first, a folder or the address of a bucket; null: it is not. */
  readonly archiveDir: string | null
  readonly objectStore: ObjectStoreSettings
  /** Bytes of one feature's history in a year beyond which it is warned. */
  readonly storageWarn: number
}

export function keepSettings(variable: ReturnType<typeof reader>, cwd: string, problems: string[]): KeepSettings {
  const { text, choice } = variable
  const objectStore = objectStoreSettings(variable)
  return {
    historyMode: text('FABRA_HISTORY') === undefined ? null : choice<'auto' | 'changes'>('FABRA_HISTORY', ['auto', 'changes'], 'auto'),
    historySample: part(text('FABRA_HISTORY_SAMPLE') ?? '0.01', 'FABRA_HISTORY_SAMPLE', problems),
    historyKeep:
      text('FABRA_HISTORY_KEEP') === undefined ? 'as the store began' : keptFor(text('FABRA_HISTORY_KEEP'), 'FABRA_HISTORY_KEEP', problems),
    rowsKeep: keptFor(text('FABRA_ROWS_KEEP'), 'FABRA_ROWS_KEEP', problems),
    archiveDir: archiveDir(text('FABRA_ARCHIVE_DIR'), { cwd, objectStore }, problems),
    objectStore,
    storageWarn: size(text('FABRA_STORAGE_WARN') ?? '50GB', 'FABRA_STORAGE_WARN', problems),
  }
}

interface ArchiveFacts {
  readonly cwd: string
  readonly objectStore: ObjectStoreSettings
}

function archiveDir(value: string | undefined, { cwd, objectStore }: ArchiveFacts, problems: string[]): string | null {
  if (value === undefined) return null
  if (isBucketAddress(value)) {
    problems.push(...bucketProblems(value, objectStore).map((problem) => `FABRA_ARCHIVE_DIR: ${problem}`))
    return value.replace(/\/+$/, '')
  }
  if (/^[a-z][a-z0-9+.-]+:/i.test(value))
    problems.push(`FABRA_ARCHIVE_DIR="${value}" is neither a folder nor an s3:// address: mount the store, and name a folder of it.`)
  return isAbsolute(value) ? value : join(cwd, value)
}
