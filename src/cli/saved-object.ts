/** Files that a server makes, in a bucket: fetched into the temporary folder, and sent from there when they are whole. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBucket } from '../app/archive/bucket.ts'
import { readConfig } from '../config/config.ts'
import { FabraError } from '../errors.ts'
import type { CliContext, CliProcess } from './context.ts'
import { type AskedFile, fetchDraft, tellSaved } from './saved-file.ts'

/** @throws FabraError io_failed, invalid_config; nothing is overwritten, and there is no object unless it is whole. */
export async function saveObject({ output, ...asked }: AskedFile, context: CliContext, host: CliProcess): Promise<void> {
  const { objectStore } = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const at = output.lastIndexOf('/')
  const [place, name] = [output.slice(0, at), output.slice(at + 1)]
  const bucket = openBucket(place, objectStore)
  // Before a server works for it: the bucket is there, too, and may be looked at.
  if (await bucket.exists(name))
    throw new FabraError('io_failed', `${output} is there already.`, { hint: 'Name a new file: none is overwritten.' })
  const folder = await mkdtemp(join(tmpdir(), 'fabra-export-'))
  try {
    const draft = join(folder, 'whole.parquet')
    const bytes = await fetchDraft(draft, asked, host)
    await bucket.upload(name, draft)
    tellSaved({ output, shown: output, bytes }, context)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
