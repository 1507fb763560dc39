/** What a Parquet file tells of itself stands behind its rows, followed by its length in four bytes and four letters. */
import { open } from 'node:fs/promises'

const TAIL_BYTES = 8

/** Puts texts of the footer in place of others of the same length, wherever those stand. */
export async function replaceInFooter(path: string, replacements: readonly (readonly [from: string, to: string])[]): Promise<void> {
  const pairs = replacements.map(([from, to]) => [Buffer.from(from), Buffer.from(to)] as const)
  if (pairs.some(([before, after]) => before.length !== after.length)) throw new Error('A text of another length has no room in a footer.')
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    const tail = Buffer.alloc(TAIL_BYTES)
    await file.read(tail, 0, TAIL_BYTES, size - TAIL_BYTES)
    const footer = Buffer.alloc(tail.readUInt32LE(0))
    const start = size - TAIL_BYTES - footer.length
    await file.read(footer, 0, footer.length, start)
    for (const [before, after] of pairs) {
      for (let at = footer.indexOf(before); at >= 0; at = footer.indexOf(before, at + 1)) after.copy(footer, at)
    }
    await file.write(footer, 0, footer.length, start)
  } finally {
    await file.close()
  }
}
