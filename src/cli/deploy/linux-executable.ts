/** The Linux executable that goes into an image: the running one, one on disk, or one of a release. */
import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { FabraError } from '../../errors.ts'
import { tarGz } from './tar.ts'
import { reasonOf } from './write-files.ts'

export interface ExecutableSource {
  /** A path: `--executable`. */
  readonly executable?: string
  /** An address: `--release`. */
  readonly release?: string
}

export interface LinuxExecutable {
  readonly arch: 'x64' | 'arm64'
  /** A tar.gz that holds "fabra" and nothing else. */
  archive(): Uint8Array
}

const HOW = 'Give it with --executable <path>, or --release <address> of a folder with SHA256SUMS and the archives of a release.'
const DOWNLOAD_MS = 300_000
const ARCH_OF_MACHINE: Readonly<Record<number, 'x64' | 'arm64'>> = { 62: 'x64', 183: 'arm64' }

/** @throws FabraError bad_usage, io_failed */
export async function linuxExecutable(source: ExecutableSource, cwd: string, archs: readonly string[]): Promise<LinuxExecutable> {
  if (source.release !== undefined) return fromRelease(source.release, archs)
  if (source.executable !== undefined) return fromFile(resolve(cwd, source.executable))
  if (process.platform !== 'linux')
    throw new FabraError('bad_usage', 'The image needs a Linux executable, and this one is for another system.', { hint: HOW })
  if (!Bun.main.startsWith('/$bunfs/')) {
    throw new FabraError('bad_usage', 'The image needs the executable, and Fabra runs from its sources.', {
      hint: `${HOW} "scripts/build" makes dist/fabra.`,
    })
  }
  return fromFile(process.execPath)
}

function fromFile(path: string): LinuxExecutable {
  const bytes = readExecutable(path)
  return packed(bytes, basename(path))
}

function readExecutable(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new FabraError('io_failed', `Cannot read the executable ${path}: ${reasonOf(cause)}.`, { cause, hint: HOW })
  }
}

function packed(bytes: Uint8Array, name: string): LinuxExecutable {
  const machine = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isElf = bytes.length > 64 && machine.getUint32(0) === 0x7f454c46
  const arch = isElf ? ARCH_OF_MACHINE[machine.getUint16(18, true)] : undefined
  if (!arch) throw new FabraError('bad_usage', `${name} is no executable for Linux on x64 or arm64.`, { hint: HOW })
  return { arch, archive: () => tarGz([{ name: 'fabra', data: bytes, mode: 0o755 }]) }
}

/** Takes an archive only if it is the one that SHA256SUMS names. */
async function fromRelease(address: string, archs: readonly string[]): Promise<LinuxExecutable> {
  const base = address.replace(/\/+$/, '')
  const sums = new TextDecoder().decode(await download(`${base}/SHA256SUMS`))
  const wanted = archs
    .map((arch) => new RegExp(`^([0-9a-f]{64})[ *]+(fabra-\\S*linux-${arch}\\.tar\\.gz)$`, 'm').exec(sums))
    .find((line) => line !== null)
  const [, sum, name] = wanted ?? []
  if (!sum || !name)
    throw new FabraError('io_failed', `${base}/SHA256SUMS names no archive for linux-${archs.join(' or linux-')}.`, { hint: HOW })
  const archive = await download(`${base}/${name}`)
  const actual = new Bun.CryptoHasher('sha256').update(archive).digest('hex')
  if (actual !== sum) {
    throw new FabraError('io_failed', `${name} is not what SHA256SUMS says: its checksum is ${actual}, not ${sum}.`, {
      hint: 'Nothing was written. Download it again, or ask whoever publishes the release.',
    })
  }
  const files = await new Bun.Archive(archive).files()
  const executable = [...files].find(([path]) => basename(path) === 'fabra')?.[1]
  if (!executable) throw new FabraError('io_failed', `${name} holds no "fabra".`, { hint: HOW })
  return packed(new Uint8Array(await executable.arrayBuffer()), name)
}

async function download(url: string): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_MS) })
    if (response.ok) return new Uint8Array(await response.arrayBuffer())
    throw new FabraError('io_failed', `${url} answered ${response.status}.`, { hint: HOW })
  } catch (cause) {
    if (cause instanceof FabraError) throw cause
    throw new FabraError('io_failed', `${url} cannot be reached.`, { cause, hint: HOW })
  }
}
