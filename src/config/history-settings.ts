/** What is recorded, how long it is kept, and where it goes then. */
import { isAbsolute, join } from 'node:path'
import type { Micros } from '../clock.ts'
import { keptFor, part, type reader, size } from './readers.ts'

export interface HistorySettings {
  /** How long computed values stay in history; null: for ever. */
  readonly historyKeep: Micros | null
  /** How long rows that are appended to sources stay; null: for ever. */
  readonly rowsKeep: Micros | null
  /** What leaves is written there first; null: it is not. */
  readonly archiveDir: string | null
  /** What is recorded of features that do not say it; null: as the store began. */
  readonly historyMode: 'auto' | 'changes' | null
  /** Of keys, those that are recorded where not all are. */
  readonly historySample: number
  /** Bytes of one feature's history in a year beyond which it is warned. */
  readonly storageWarn: number
}

export const historyVariables = [
  {
    name: 'FABRA_HISTORY',
    default: 'auto; in stores of earlier releases changes',
    help: 'what is recorded of computed features that do not say history: auto (of a sample of keys where the past can be recomputed) or changes',
  },
  { name: 'FABRA_HISTORY_SAMPLE', default: '0.01', help: 'share of keys, from 0 to 1, that auto records where the past can be recomputed' },
  {
    name: 'FABRA_HISTORY_KEEP',
    default: 'for ever',
    help: 'days or weeks for which computed values stay in history, such as 400d; pushed ones stay',
  },
  {
    name: 'FABRA_ROWS_KEEP',
    default: 'for ever',
    help: 'days or weeks for which appended rows of sources stay, such as 90d; refused unless every feature is proved to look back less far',
  },
  {
    name: 'FABRA_ARCHIVE_DIR',
    default: 'none',
    help: 'folder that values and rows are written to, as Parquet files, before they leave',
  },
  {
    name: 'FABRA_STORAGE_WARN',
    default: '50GB',
    help: "size of one feature's history in a year, as it grows now, beyond which the log warns of it",
  },
]

export function historySettings({ text, choice }: ReturnType<typeof reader>, cwd: string, problems: string[]): HistorySettings {
  return {
    historyMode: text('FABRA_HISTORY') === undefined ? null : choice<'auto' | 'changes'>('FABRA_HISTORY', ['auto', 'changes'], 'auto'),
    historySample: part(text('FABRA_HISTORY_SAMPLE') ?? '0.01', 'FABRA_HISTORY_SAMPLE', problems),
    historyKeep: keptFor(text('FABRA_HISTORY_KEEP'), 'FABRA_HISTORY_KEEP', problems),
    rowsKeep: keptFor(text('FABRA_ROWS_KEEP'), 'FABRA_ROWS_KEEP', problems),
    archiveDir: archiveDir(text('FABRA_ARCHIVE_DIR'), cwd, problems),
    storageWarn: size(text('FABRA_STORAGE_WARN') ?? '50GB', 'FABRA_STORAGE_WARN', problems),
  }
}

function archiveDir(value: string | undefined, cwd: string, problems: string[]): string | null {
  if (value === undefined) return null
  if (/^[a-z][a-z0-9+.-]+:/i.test(value))
    problems.push(`FABRA_ARCHIVE_DIR="${value}" is no folder: mount the store, and name a folder of it.`)
  return isAbsolute(value) ? value : join(cwd, value)
}
