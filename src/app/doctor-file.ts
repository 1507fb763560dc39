/** What the doctor says of the laptop's one file, and does to it when asked. */
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { FabraError } from '../errors.ts'
import { inspectFile, repairFile } from '../store/duckdb/damage/repair.ts'
import type { Finding } from './finding.ts'
import { DATA_FILE } from './open-stores.ts'

const SUBJECT = 'data file'

/** Nothing is changed. */
export async function examineFile({ dataDir }: Pick<Config, 'dataDir'>): Promise<readonly Finding[]> {
  const file = join(dataDir, DATA_FILE)
  try {
    const { state, problem } = await inspectFile(file)
    if (problem) return [asProblem(problem)]
    return [ok(state === 'absent' ? `there is none yet (${file})` : `${file} can be read to its last row`)]
  } catch (error) {
    if (error instanceof FabraError && error.code === 'data_dir_locked') return [ok(`${error.message} It is not looked into.`)]
    return [asProblem(error)]
  }
}

/** @throws FabraError data_dir_locked, schema_mismatch, io_failed: nothing was changed then. */
export async function repair({ dataDir }: Pick<Config, 'dataDir'>, now: Date): Promise<readonly Finding[]> {
  const file = join(dataDir, DATA_FILE)
  const { state, problem } = await inspectFile(file)
  if (!problem) return [ok(state === 'absent' ? `there is none (${file}): nothing to repair` : `${file} is sound: nothing to repair`)]
  const { aside, kept, lost } = await repairFile(file, now)
  const moved = aside.length === 0 ? [] : [ok(`what was damaged was moved to ${aside.join(' and ')}`)]
  return [
    { subject: SUBJECT, state: 'warning', message: problem.message, fix: null },
    ...moved,
    ok(`${file} can be used again. ${kept}`),
    ...(lost.length === 0 ? [ok('nothing that was acknowledged is known to be lost')] : lost.map(asLoss)),
  ]
}

function ok(message: string): Finding {
  return { subject: SUBJECT, state: 'ok', message, fix: null }
}

function asLoss(message: string): Finding {
  return { subject: 'lost', state: 'warning', message, fix: null }
}

function asProblem(error: unknown): Finding {
  if (!(error instanceof FabraError)) throw error
  return { subject: SUBJECT, state: 'problem', message: error.message, fix: error.hint ?? null }
}
