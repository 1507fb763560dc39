/** Engines count the places of a text in bytes of UTF-8 or in code points; we count as JavaScript strings do. */
export function offsetOfByte(text: string, bytes: number): number {
  return offsetWhere(text, bytes, (code) => (code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4))
}

export function offsetOfCodePoint(text: string, points: number): number {
  return offsetWhere(text, points, () => 1)
}

function offsetWhere(text: string, wanted: number, width: (code: number) => number): number {
  let seen = 0
  let offset = 0
  for (const character of text) {
    if (seen >= wanted) return offset
    seen += width(character.codePointAt(0) ?? 0)
    offset += character.length
  }
  return offset
}
