/** Where what leaves goes: a folder, or a bucket. */
import { isBucketAddress, type ObjectStoreSettings } from '../../config/object-store.ts'
import { type Archive, type ArchiveOptions, createArchive } from './archive.ts'
import { openBucket } from './bucket.ts'
import { createBucketArchive } from './bucket-archive.ts'

export interface PlaceOptions extends Omit<ArchiveOptions, 'folder'> {
  readonly objectStore: ObjectStoreSettings
}

export function openArchive(place: string, { objectStore, marks, log }: PlaceOptions): Archive {
  if (!isBucketAddress(place)) return createArchive({ folder: place, marks, log })
  return createBucketArchive({ bucket: openBucket(place, objectStore), marks, log })
}
