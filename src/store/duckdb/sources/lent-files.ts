/** Files of a source where the engine may read them, for as long as they are loaded: users' SQL never has access to any other. */
import { constants, createReadStream, createWriteStream } from 'node:fs'
import { copyFile, link, mkdir, realpath, rm } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type FileList, formatOfFile } from '../../ports/source-file-list.ts'
import { SourceProblem } from './source-problem.ts'

export interface LentFile {
  /** Where the user has it: for messages. */
  readonly file: string
  /** Where the engine reads it. */
  readonly readFrom: string
  readonly partition: FileList['files'][number]['partition']
}

export interface LentFiles {
  readonly files: readonly LentFile[]
  /** Takes what else is made of the files to read them. */
  readonly folder: string
  giveBack(): Promise<void>
}

/** @throws SourceProblem */
export async function lendFiles(list: FileList, loadDir: string, source: string): Promise<LentFiles> {
  const folder = join(loadDir, Bun.hash(source).toString(16))
  const giveBack = () => rm(folder, { recursive: true, force: true })
  await giveBack()
  await mkdir(folder, { mode: 0o700 })
  try {
    const files: LentFile[] = []
    for (const [i, { path, partition }] of list.files.entries()) {
      files.push({ file: path, partition, readFrom: await lend(path, join(folder, String(i))) })
    }
    return { files, folder, giveBack }
  } catch (error) {
    await giveBack()
    throw error
  }
}

/**
 * A second name costs nothing; where the disk has none, it is a copy. (The engine follows symbolic links and refuses what is behind them.)
 * What is compressed is unpacked: it is read several times.
 */
async function lend(file: string, stem: string): Promise<string> {
  const { format, packed } = formatOfFile(file) ?? { format: null, packed: null }
  const lent = `${stem}${packed === null ? extname(file).toLowerCase() : `.${format}`}`
  try {
    const real = await realpath(file)
    if (packed !== null) await unpack(real, lent, packed === 'gz' ? createGunzip() : createZstdDecompress())
    else await link(real, lent).catch(() => copyFile(real, lent, constants.COPYFILE_FICLONE))
    return lent
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const isData = packed !== null && /^(Z_|ZSTD_|ERR_)/.test(String((error as { code?: unknown }).code ?? 'ERR_'))
    throw isData
      ? new SourceProblem(
          `${file} cannot be unpacked: ${why}.`,
          `${basename(file)} may be cut short, or not be ${packed === 'gz' ? 'gzip' : 'zstd'} at all.`,
          error,
        )
      : new SourceProblem(`${file} cannot be read: ${why}`, 'Check its permissions.', error)
  }
}

async function unpack(from: string, to: string, unpacking: Transform): Promise<void> {
  await pipeline(createReadStream(from, { highWaterMark: 1 << 20 }), unpacking, createWriteStream(to, { flags: 'wx', mode: 0o600 }))
}
