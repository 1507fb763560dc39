import type { ComputeRow, ComputeRows } from '../executor.ts'

/** Rows that go to a function in one call, and where each stands among all. */
export interface Chunk {
  readonly rows: ComputeRow[]
  readonly indexes: number[]
}

/** Rows of one as-of time go together, at most so many: whatever the function asks for, it asks as of one time. */
export function chunksOf(rows: ComputeRows, most: number): Chunk[] {
  const chunks: Chunk[] = []
  const open = new Map<number, Chunk>()
  for (let i = 0; i < rows.length; i++) {
    const row = rows.at(i)
    if (row === undefined) continue
    let chunk = open.get(row.asOf)
    if (chunk === undefined || chunk.rows.length >= most) {
      chunk = { rows: [], indexes: [] }
      open.set(row.asOf, chunk)
      chunks.push(chunk)
    }
    chunk.rows.push(row)
    chunk.indexes.push(i)
  }
  return chunks
}
