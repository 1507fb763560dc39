/** The Linux executable that goes into an image: the running one, one on disk, or one of a release. */
import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { Arch, ReleaseArchive } from '../../deploy/platform.ts'
import { FabraError } from '../../errors.ts'
import { tarGz } from './tar.ts'
import { reasonOf } from './write-files.ts'

export interface LinuxExecutable {
  readonly arch: Arch
  /** A tar.gz that holds "fabra" and nothing else. */
  archive(): Uint8Array
}

const HOW = 'Give it with --executable <path>, or --release <address> of a folder with SHA256SUMS and the archives of a release.'
const ANSWER_MS = 30_000
const ARCH_OF_MACHINE: Readonly<Record<number, Arch>> = { 62: 'x64', 183: 'arm64' }

/** @param given A path: `--executable`. @throws FabraError bad_usage, io_failed */
export function linuxExecutable(given: string | undefined, cwd: string): LinuxExecutable {
  if (given !== undefined) return fromFile(resolve(cwd, given))
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

/**
 * Of the release at the address, the archive that runs on the first of the processors for which there is one. It is not downloaded here: whoever
 * builds the image does that, and takes it only if it is the one that SHA256SUMS names.
 * @throws FabraError io_failed
 */
export async function releasedExecutable(address: string, archs: readonly Arch[]): Promise<{ release: ReleaseArchive; arch: Arch }> {
  const base = address.replace(/\/+$/, '')
  if (!/^https?:\/\/[^\s'"]+$/.test(base)) throw new FabraError('bad_usage', `"${address}" is no address of a release.`, { hint: HOW })
  const sums = await (await ask(`${base}/SHA256SUMS`, 'GET')).text()
  for (const arch of archs) {
    const [, sha256, name] = new RegExp(`^([0-9a-f]{64})[ *]+(fabra-[\\w.+-]*linux-${arch}\\.tar\\.gz)$`, 'm').exec(sums) ?? []
    if (sha256 === undefined || name === undefined) continue
    const url = `${base}/${name}`
    await ask(url, 'HEAD')
    return { release: { url, sha256 }, arch }
  }
  throw new FabraError('io_failed', `${base}/SHA256SUMS names no archive for linux-${archs.join(' or linux-')}.`, { hint: HOW })
}

async function ask(url: string, method: 'GET' | 'HEAD'): Promise<Response> {
  try {
    const response = await fetch(url, { method, signal: AbortSignal.timeout(ANSWER_MS) })
    if (response.ok) return response
    throw new FabraError('io_failed', `${url} answered ${response.status}.`, { hint: HOW })
  } catch (cause) {
    if (cause instanceof FabraError) throw cause
    throw new FabraError('io_failed', `${url} cannot be reached.`, { cause, hint: HOW })
  }
}
