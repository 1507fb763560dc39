/** An archive of few files, the same bytes for the same contents: no times, no owners. */
export interface TarEntry {
  /** At most 100 letters. */
  readonly name: string
  readonly data: Uint8Array
  readonly mode: number
}

const BLOCK = 512

export function tarGz(entries: readonly TarEntry[]): Uint8Array {
  const blocks = entries.flatMap(({ name, data, mode }) => [
    header(name, data.length, mode),
    data,
    new Uint8Array(-data.length & (BLOCK - 1)),
  ])
  return Bun.gzipSync(Buffer.concat([...blocks, new Uint8Array(2 * BLOCK)]), { library: 'libdeflate', level: 6 })
}

/** As POSIX.1-1988 "ustar" has it. */
function header(name: string, size: number, mode: number): Uint8Array {
  const block = new Uint8Array(BLOCK)
  const put = (text: string, offset: number) => block.set(new TextEncoder().encode(text), offset)
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`
  if (name.length > 100) throw new Error(`The name ${name} is too long for an archive.`)
  put(name, 0)
  put(octal(mode, 8), 100)
  put(octal(0, 8), 108)
  put(octal(0, 8), 116)
  put(octal(size, 12), 124)
  put(octal(0, 12), 136)
  put('        ', 148)
  put('0', 156)
  put('ustar\x0000', 257)
  put(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      7,
    )} `,
    148,
  )
  return block
}
