/**
 * A look at the first bytes of a DuckDB file before the engine opens it, for what the engine does not say or does not notice.
 *
 * The file begins with three pages of 4 KiB: one that never changes, and two that are written in turn by each checkpoint. The newer of them
 * tells how many blocks the file has. (DuckDB, src/include/duckdb/storage/storage_info.hpp; the same since version 64.)
 *
 * It must never be read while this process has it open: to close a file lets go of all locks that the process has on it (POSIX).
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

export const PAGE = 4096
export const HEAD_BYTES = 3 * PAGE
const MAGIC = 'DUCK'

export interface FileHead {
  /** What is wrong, as the end of "The database is damaged: …". */
  readonly problem: string | undefined
  /** It has fewer bytes than its blocks need. A checkpoint may count a block that was never written, so this alone proves nothing. */
  readonly isShort: boolean
  /** Those that are there as a whole. */
  readonly blocks: number
}

/** Undefined where there is no such file, or none that can be read: the engine says why. */
export function readHead(file: string): FileHead | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) return undefined
    const head = Buffer.alloc(HEAD_BYTES)
    const count = readSync(descriptor, head, 0, HEAD_BYTES, 0)
    return judgeHead(head.subarray(0, count), stat.size)
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

function judgeHead(head: Buffer, size: number): FileHead {
  if (size === 0) return { problem: 'it is empty', isShort: true, blocks: 0 }
  const isOurs = head.toString('latin1', 8, 12) === MAGIC
  if (size < HEAD_BYTES)
    return {
      problem: isOurs ? 'it was cut short: hardly anything of it is left' : 'it is no DuckDB database',
      isShort: true,
      blocks: 0,
    }
  if (!isOurs) return { problem: 'it is no DuckDB database, or its first bytes have changed', isShort: false, blocks: 0 }
  const pages = [1, 2]
    .map((page) => head.subarray(page * PAGE, (page + 1) * PAGE))
    .filter((page) => checksum(page.subarray(8)) === page.readBigUInt64LE(0))
  const newest = pages.reduce<Buffer | undefined>((best, page) => (best && iteration(best) >= iteration(page) ? best : page), undefined)
  if (!newest) return { problem: 'bytes in its head have changed', isShort: false, blocks: 0 }
  const [count, blockSize] = [newest.readBigUInt64LE(32), newest.readBigUInt64LE(40)]
  const bytes = count * blockSize + BigInt(HEAD_BYTES)
  const blocks = blockSize === 0n ? 0 : Number(BigInt(size - HEAD_BYTES) / blockSize)
  if (BigInt(size) >= bytes) return { problem: undefined, isShort: false, blocks }
  return { problem: `it was cut short: it has ${size} bytes and had ${bytes}`, isShort: true, blocks }
}

function iteration(page: Buffer): bigint {
  return page.readBigUInt64LE(8)
}

const MULTIPLIER = 0xbf58476d1ce4e5b9n
const WORD = 0xffff_ffff_ffff_ffffn

/** DuckDB's checksum of a page, a block or an entry of the log (src/common/checksum.cpp). */
export function checksum(bytes: Buffer): bigint {
  let result = 5381n
  const whole = bytes.length - (bytes.length % 8)
  for (let at = 0; at < whole; at += 8) result ^= (bytes.readBigUInt64LE(at) * MULTIPLIER) & WORD
  return whole === bytes.length ? result : result ^ remainder(bytes.subarray(whole))
}

/** MurmurHash64A of the last bytes. */
function remainder(bytes: Buffer): bigint {
  const m = 0xc6a4a7935bd1e995n
  let hash = 0xe17a1465n ^ ((BigInt(bytes.length) * m) & WORD)
  for (let i = bytes.length - 1; i >= 0; i--) hash ^= BigInt(bytes[i] ?? 0) << BigInt(8 * i)
  if (bytes.length > 0) hash = (hash * m) & WORD
  hash ^= hash >> 47n
  hash = (hash * m) & WORD
  return hash ^ (hash >> 47n)
}
