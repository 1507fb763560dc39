/**
 * The engine's write-ahead log, walked without the engine. (DuckDB, src/storage/wal_replay.cpp, version 2 of the log: a head of eight bytes, then
 * entries: size, checksum, bytes. Nothing is told of other versions.)
 */
import { closeSync, fstatSync, openSync, readSync, truncateSync } from 'node:fs'
import { checksum } from './file-head.ts'

const HEAD = Buffer.from('640062650002ffff', 'hex')
const ENTRY_HEAD = 16

export interface LogWalk {
  readonly size: number
  /** Bytes from the beginning that are whole entries with the right checksum. */
  readonly goodBytes: number
  /** Behind those there is nothing but zeros: what a power cut leaves of a commit that nobody was told of. */
  readonly endsInZeros: boolean
}

/** Reads all of it. Undefined where there is none, or one of another version. */
export function walkLog(log: string): LogWalk | undefined {
  const bytes = readWhole(log)
  if (!bytes?.subarray(0, HEAD.length).equals(HEAD)) return undefined
  let at = HEAD.length
  while (at + ENTRY_HEAD <= bytes.length) {
    const size = bytes.readBigUInt64LE(at)
    const end = at + ENTRY_HEAD + Number(size)
    if (size === 0n || end > bytes.length) break
    if (checksum(bytes.subarray(at + ENTRY_HEAD, end)) !== bytes.readBigUInt64LE(at + 8)) break
    at = end
  }
  return { size: bytes.length, goodBytes: at, endsInZeros: at < bytes.length && bytes.subarray(at).every((byte) => byte === 0) }
}

/** @returns whether the log had such an end. An acknowledged commit was on the disk, and no entry is made of zeros. */
export function cutZeros(log: string): boolean {
  const walk = walkLog(log)
  if (!walk?.endsInZeros) return false
  truncateSync(log, walk.goodBytes)
  return true
}

function readWhole(path: string): Buffer | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, 'r')
    const bytes = Buffer.alloc(fstatSync(descriptor).size)
    return bytes.subarray(0, readSync(descriptor, bytes))
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
