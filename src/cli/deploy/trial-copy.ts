import { constants, copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { CopiedFile } from './project-contents.ts'
import { isScript } from './project-imports.ts'

/** Data that is larger is not copied for a trial: a link to it reads the same. */
const LARGE_BYTES = 32 * 1024 * 1024

/**
 * Does something in a folder with exactly the files that an image would have, and the packages that it would install. It is the current folder
 * meanwhile, as it is in the image, and gone afterwards.
 */
export async function inTrialCopy<T>(folder: string, files: readonly CopiedFile[], work: (copy: string) => Promise<T>): Promise<T> {
  const copy = mkdtempSync(join(realpathSync(tmpdir()), 'fabra-deploy-'))
  const before = process.cwd()
  try {
    for (const { path, bytes } of files) {
      const target = join(copy, path)
      mkdirSync(dirname(target), { recursive: true })
      // Where a link to code leads, its imports would be looked for.
      if (bytes > LARGE_BYTES && !isScript(path)) symlinkSync(realpathSync(join(folder, path)), target)
      else copyFileSync(join(folder, path), target, constants.COPYFILE_FICLONE)
    }
    for (const name of ['node_modules', '.venv']) {
      const packages = join(folder, name)
      if (existsSync(packages)) symlinkSync(realpathSync(packages), join(copy, name))
    }
    process.chdir(copy)
    return await work(copy)
  } finally {
    process.chdir(before)
    rmSync(copy, { recursive: true, force: true })
  }
}
