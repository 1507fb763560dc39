/** What a Parquet file tells of itself stands behind its rows, followed by its length in four bytes and four letters. */
import { open } from 'node:fs/promises'

const TAIL_BYTES = 8

/** Puts a text of the footer in place of another of the same length, wherever that stands. */
export async function replaceInFooter(path: string, from: string, to: string): Promise<void> {
  const [before, after] = [Buffer.from(from), Buffer.from(to)]
  if (before.length !== after.length) throw new Error('A text of another length has no room in a footer.')
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    const tail = Buffer.alloc(TAIL_BYTES)
    await file.read(tail, 0, TAIL_BYTES, size - TAIL_BYTES)
    const footer = Buffer.alloc(tail.readUInt32LE(0))
    const start = size - TAIL_BYTES - footer.length
    await file.read(footer, 0, footer.length, start)
    for (let at = footer.indexOf(before); at >= 0; at = footer.indexOf(before, at + 1)) {
      await file.write(after, 0, after.length, start + at)
    }
  } finally {
    await file.close()
  }
}
