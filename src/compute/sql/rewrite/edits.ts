/** A piece of text to put in the place of another. Character offsets, end exclusive. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

export interface Edited {
  readonly text: string
  /** Where a character of the edited text comes from; inside a replacement, the start of what it replaced. */
  originOf(position: number): number
}

/** Edits must not overlap; the same edit given twice (one expression seen twice by the parser) counts once. */
export function applyEdits(text: string, edits: readonly Edit[]): Edited {
  const sorted = [...edits].sort((a, b) => a.start - b.start || a.end - b.end)
  const pieces: { readonly from: number; readonly at: number; readonly verbatim: boolean }[] = []
  let result = ''
  let cursor = 0
  for (const [i, edit] of sorted.entries()) {
    const before = sorted[i - 1]
    if (edit.start < cursor || (before?.start === edit.start && before.end === edit.end)) continue
    pieces.push({ from: cursor, at: result.length, verbatim: true })
    result += text.slice(cursor, edit.start)
    pieces.push({ from: edit.start, at: result.length, verbatim: false })
    result += edit.text
    cursor = edit.end
  }
  pieces.push({ from: cursor, at: result.length, verbatim: true })
  result += text.slice(cursor)
  return {
    text: result,
    originOf(position) {
      const piece = pieces.findLast((candidate) => candidate.at <= position)
      if (!piece) return 0
      return Math.min(text.length, piece.verbatim ? piece.from + position - piece.at : piece.from)
    },
  }
}

/** `line 2, column 14`, both from 1. */
export function lineAndColumn(text: string, position: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, position).split('\n')
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 }
}

/** Turns offsets into the UTF-8 form of a text into character offsets. */
export function byteOffsets(text: string): (byte: number) => number {
  if (Buffer.byteLength(text) === text.length) return (byte) => byte
  const starts = new Map<number, number>()
  let byte = 0
  let at = 0
  for (const character of text) {
    starts.set(byte, at)
    byte += Buffer.byteLength(character)
    at += character.length
  }
  starts.set(byte, at)
  return (offset) => starts.get(offset) ?? at
}
