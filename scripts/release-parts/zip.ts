/** Zip archives with nothing of this machine in them: no times, no owners, and entries in the order given. As wheels need them, up to 4 GiB. */
import { crc32, deflateRawSync } from 'node:zlib'

export interface ZipEntry {
  readonly name: string
  readonly data: Uint8Array
  /** Permissions, 0o644 by default. */
  readonly mode?: number
}

/** 1980-01-01, the first day that there is. */
const DATE = (1 << 5) | 1
const REGULAR_FILE = 0o100000
const UTF8_NAMES = 0x800
const DEFLATED = 8
const NEEDS = 20
const MADE_ON_UNIX = (3 << 8) | NEEDS

export function zip(entries: readonly ZipEntry[], level: number): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data, mode = 0o644 } of entries) {
    const packed = deflateRawSync(data, { level })
    const path = Buffer.from(name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(NEEDS, 0)
    common.writeUInt16LE(UTF8_NAMES, 2)
    common.writeUInt16LE(DEFLATED, 4)
    common.writeUInt16LE(DATE, 8)
    common.writeUInt32LE(crc32(data), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(data.length, 18)
    common.writeUInt16LE(path.length, 22)
    const local = [Buffer.from('PK\x03\x04', 'latin1'), common, path, packed]
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(((REGULAR_FILE | mode) << 16) >>> 0, 6)
    rest.writeUInt32LE(offset, 10)
    const made = Buffer.alloc(2)
    made.writeUInt16LE(MADE_ON_UNIX)
    directory.push(Buffer.from('PK\x01\x02', 'latin1'), made, common, rest, path)
    parts.push(...local)
    offset += local.reduce((sum, part) => sum + part.length, 0)
  }
  const listed = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(listed.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, listed, end])
}
