/** What PostgreSQL's `hashtext` gives in a database of UTF-8 on a machine of small end: Bob Jenkins' lookup3, as `hash_bytes` has it. */

const START = 0x9e3779b9 + 3_923_095
const encoder = new TextEncoder()
const room = new Uint8Array(3_072)
const LONGEST = room.length / 3

export function hashOfText(text: string): number {
  let length = text.length
  let bytes = room
  if (length > LONGEST) {
    bytes = encoder.encode(text)
    length = bytes.length
  } else {
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        length = encoder.encodeInto(text, room).written
        break
      }
      room[i] = code
    }
  }
  return hashOf(bytes, length)
}

function hashOf(bytes: Uint8Array, length: number): number {
  const word = (from: number) =>
    (from < length ? (bytes[from] ?? 0) : 0) |
    (from + 1 < length ? (bytes[from + 1] ?? 0) << 8 : 0) |
    (from + 2 < length ? (bytes[from + 2] ?? 0) << 16 : 0) |
    (from + 3 < length ? (bytes[from + 3] ?? 0) << 24 : 0)
  let a = (START + length) | 0
  let b = a
  let c = a
  let at = 0
  for (; length - at >= 12; at += 12) {
    a = (a + word(at)) | 0
    b = (b + word(at + 4)) | 0
    c = (c + word(at + 8)) | 0
    // mix
    a = ((a - c) | 0) ^ turned(c, 4)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ turned(a, 6)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ turned(b, 8)
    b = (b + a) | 0
    a = ((a - c) | 0) ^ turned(c, 16)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ turned(a, 19)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ turned(b, 4)
    b = (b + a) | 0
  }
  // The lowest byte of c is the length's, which was added already.
  a = (a + word(at)) | 0
  b = (b + word(at + 4)) | 0
  c = (c + (word(at + 8) << 8)) | 0
  // final
  c = ((c ^ b) - turned(b, 14)) | 0
  a = ((a ^ c) - turned(c, 11)) | 0
  b = ((b ^ a) - turned(a, 25)) | 0
  c = ((c ^ b) - turned(b, 16)) | 0
  a = ((a ^ c) - turned(c, 4)) | 0
  b = ((b ^ a) - turned(a, 14)) | 0
  return ((c ^ b) - turned(b, 24)) | 0
}

function turned(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}
