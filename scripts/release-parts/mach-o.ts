/**
 * Signatures of macOS executables, without a Mac: made where Bun leaves a broken one behind, and recomputed as the system does before it runs one.
 * Bun signs what it compiles for Apple's own processors; for x64 it leaves its own publisher's signature, which no longer fits and whose rules
 * would have the system kill the process. What is made here has the form that Go's linker gives its executables.
 */
import { createHash } from 'node:crypto'

const MAGIC_64 = 0xfeedfacf
const LC_CODE_SIGNATURE = 0x1d
const SUPER_BLOB = 0xfade0cc0
const CODE_DIRECTORY = 0xfade0c02
const SHA256 = 2
const LC_SEGMENT_64 = 0x19
const AD_HOC_BY_LINKER = 0x20002
const MAIN_EXECUTABLE = 1
const PAGE_BITS = 12
const PAGE = 2 ** PAGE_BITS
const HASH = 32
const DIRECTORY_HEAD = 88
const CPU: Readonly<Record<number, string>> = { 16777223: 'x64', 16777228: 'arm64' }

export interface SignatureReport {
  readonly cpu: string
  /** Pages whose hash is in the signature. */
  readonly pages: number
  /** Of those, the ones that do not have it. */
  readonly badPages: number
  /** Bytes of the file that come before the signature and are in no page. None is the good answer. */
  readonly unsignedBytes: number
  /** Signed by nobody in particular, as everything must be on Apple's own processors. */
  readonly isAdHoc: boolean
}

/** @throws Error where the file is no 64-bit Mach-O, or not signed. */
export function checkSignature(file: Buffer): SignatureReport {
  if (file.readUInt32LE(0) !== MAGIC_64) throw new Error('It is no 64-bit Mach-O.')
  const { offset, size } = signatureCommand(file)
  if (offset + size > file.length) throw new Error('Its signature ends behind its end.')
  const directory = codeDirectory(file.subarray(offset, offset + size))
  const hashOffset = directory.readUInt32BE(16)
  const pages = directory.readUInt32BE(28)
  const limit = directory.readUInt32BE(32)
  const hashSize = directory.readUInt8(36)
  const pageSize = 2 ** directory.readUInt8(39)
  if (directory.readUInt8(37) !== SHA256 || hashSize !== 32) throw new Error('Its pages are not hashed with SHA-256.')
  let badPages = 0
  for (let page = 0; page < pages; page++) {
    const bytes = file.subarray(page * pageSize, Math.min((page + 1) * pageSize, limit))
    const stored = directory.subarray(hashOffset + page * hashSize, hashOffset + (page + 1) * hashSize)
    if (!createHash('sha256').update(bytes).digest().equals(stored)) badPages++
  }
  return {
    cpu: CPU[file.readUInt32LE(4)] ?? 'unknown',
    pages,
    badPages,
    unsignedBytes: offset - Math.min(limit, pages * pageSize),
    isAdHoc: (directory.readUInt32BE(12) & 2) !== 0,
  }
}

/** @returns the executable with a new signature by nobody in particular, in place of the one it has. */
export function signAdHoc(file: Buffer, identifier: string): Buffer {
  const { at, offset } = signatureCommand(file)
  const name = Buffer.from(`${identifier}\0`)
  const pages = Math.ceil(offset / PAGE)
  const directorySize = DIRECTORY_HEAD + name.length + pages * HASH
  const size = 20 + directorySize
  const signed = Buffer.alloc(offset + size)
  file.copy(signed, 0, 0, offset)
  // What the load commands say is signed, too: they are set first.
  signed.writeUInt32LE(size, at + 12)
  const text = segment(signed, '__TEXT')
  const last = segment(signed, '__LINKEDIT')
  const lastSize = BigInt(offset + size) - signed.readBigUInt64LE(last + 40)
  signed.writeBigUInt64LE(((lastSize + 4095n) / 4096n) * 4096n, last + 32)
  signed.writeBigUInt64LE(lastSize, last + 48)

  const signature = signed.subarray(offset)
  for (const [i, word] of [SUPER_BLOB, size, 1, 0, 20].entries()) signature.writeUInt32BE(word, i * 4)
  const directory = signature.subarray(20)
  const head = [CODE_DIRECTORY, directorySize, 0x20400, AD_HOC_BY_LINKER, DIRECTORY_HEAD + name.length, DIRECTORY_HEAD, 0, pages, offset]
  for (const [i, word] of head.entries()) directory.writeUInt32BE(word, i * 4)
  directory.set([HASH, SHA256, 0, PAGE_BITS], 36)
  directory.writeBigUInt64BE(signed.readBigUInt64LE(text + 40), 64)
  directory.writeBigUInt64BE(signed.readBigUInt64LE(text + 48), 72)
  directory.writeBigUInt64BE(BigInt(MAIN_EXECUTABLE), 80)
  name.copy(directory, DIRECTORY_HEAD)
  for (let page = 0; page < pages; page++) {
    const bytes = signed.subarray(page * PAGE, Math.min((page + 1) * PAGE, offset))
    createHash('sha256')
      .update(bytes)
      .digest()
      .copy(directory, DIRECTORY_HEAD + name.length + page * HASH)
  }
  return signed
}

/** Where the load command of a segment begins. */
function segment(file: Buffer, name: string): number {
  for (const at of commands(file))
    if (
      file.readUInt32LE(at) === LC_SEGMENT_64 &&
      file
        .subarray(at + 8, at + 24)
        .toString()
        .replaceAll('\0', '') === name
    )
      return at
  throw new Error(`It has no segment ${name}.`)
}

function commands(file: Buffer): number[] {
  const found: number[] = []
  for (let i = 0, at = 32; i < file.readUInt32LE(16); i++, at += file.readUInt32LE(at + 4)) found.push(at)
  return found
}

function signatureCommand(file: Buffer): { at: number; offset: number; size: number } {
  for (const at of commands(file))
    if (file.readUInt32LE(at) === LC_CODE_SIGNATURE) return { at, offset: file.readUInt32LE(at + 8), size: file.readUInt32LE(at + 12) }
  throw new Error('It is not signed.')
}

function codeDirectory(signature: Buffer): Buffer {
  if (signature.readUInt32BE(0) !== SUPER_BLOB) throw new Error('Its signature has no known form.')
  const count = signature.readUInt32BE(8)
  for (let i = 0; i < count; i++) {
    const at = signature.readUInt32BE(12 + i * 8 + 4)
    if (signature.readUInt32BE(at) === CODE_DIRECTORY) return signature.subarray(at, at + signature.readUInt32BE(at + 4))
  }
  throw new Error('Its signature lists no pages.')
}
