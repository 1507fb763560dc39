/** Whether what leaves could go where it is to go. */
import type { Config } from '../config/config.ts'
import { isBucketAddress } from '../config/object-store.ts'
import { FabraError } from '../errors.ts'
import { openBucket } from './archive/bucket.ts'
import type { Finding } from './finding.ts'

/** Looks into a bucket and writes nothing; a folder is made when it is needed. */
export async function examineArchive({ archiveDir, objectStore }: Config): Promise<readonly Finding[]> {
  if (archiveDir === null || !isBucketAddress(archiveDir)) return []
  try {
    await openBucket(archiveDir, objectStore).exists('.parts')
    return [{ subject: 'archive', state: 'ok', message: `${archiveDir} can be looked into`, fix: null }]
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    return [{ subject: 'archive', state: 'problem', message: error.message, fix: error.hint ?? null }]
  }
}
