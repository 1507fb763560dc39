import { FabraError } from '../../errors.ts'
import { foldersAbove, type ProjectFile, type WalkedProject } from './project-files.ts'

/** Of folders with fewer files each is named, so that what is added to the folder later stays out. */
const FEW = 20
/** Each folder is a layer of the image, and there can be no more than 127. */
const MOST_FOLDERS = 100

/** What is copied as files, and as folders that hold nothing else. @throws FabraError bad_usage when it takes too many layers. */
export function imageEntries(copied: readonly ProjectFile[], walked: WalkedProject): { files: string[]; folders: string[] } {
  const paths = new Set(copied.map((file) => file.path))
  const mixed = new Set(walked.mixed)
  for (const { path } of walked.files) if (!paths.has(path)) for (const folder of foldersAbove(path)) mixed.add(folder)
  const byFolder = new Map<string, string[]>()
  for (const path of paths) {
    const whole = foldersAbove(path).find((folder) => !mixed.has(folder)) ?? ''
    const group = byFolder.get(whole) ?? []
    group.push(path)
    byFolder.set(whole, group)
  }
  const folders = [...byFolder].filter(([folder, files]) => folder !== '' && files.length > FEW).map(([folder]) => folder)
  const files = [...byFolder].flatMap(([folder, all]) => (folders.includes(folder) ? [] : all))
  const layers = folders.length + new Set(files.map((path) => path.split('/').slice(0, -1).join('/'))).size
  if (layers <= MOST_FOLDERS) return { files: files.sort(), folders: folders.sort() }
  throw new FabraError(
    'bad_usage',
    `The files that go into the image lie in ${layers} folders beside others that do not; ${MOST_FOLDERS} can be.`,
    {
      hint: 'Move them together, or --include a folder above them whole.',
    },
  )
}
