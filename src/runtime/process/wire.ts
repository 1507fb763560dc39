/**
 * Frames on a socket: the length of a message in four bytes, most significant first, then its text, a JSON array of frames. Whole numbers of
 * any size are exact both ways.
 */
import { parseExact, stringifyExact } from '../../definition/exact-json.ts'

/** Bytes of the longest message that is read. A guest that announces more has lost its place, or its mind. */
const LONGEST = 256 * 2 ** 20
const HEADER = 4

const decoder = new TextDecoder()

/** A message of frames whose texts are made. */
export function packMessage(frames: readonly string[]): Uint8Array {
  const text = `[${frames.join(',')}]`
  const message = Buffer.allocUnsafe(HEADER + Buffer.byteLength(text))
  message.writeUInt32BE(message.length - HEADER)
  message.write(text, HEADER)
  return message
}

/** @param isPlain Whether it holds no bigint and no float beyond 2^53: the quicker writer does. @throws TypeError for what JSON cannot say */
export function frameText(frame: object, isPlain: boolean): string {
  return isPlain ? JSON.stringify(frame) : stringifyExact(frame)
}

/**
 * Puts messages together from the pieces in which they arrive.
 * @param take Is given the frames of each message.
 * @param parse Reads the text of one. Default: whole numbers of any size are exact.
 * @returns to be called with every piece. @throws Error when what came is no message; nothing after it can be understood.
 */
export function createMessageReader(
  take: (frames: readonly unknown[]) => void,
  parse: (text: string) => unknown = parseExact,
): (piece: Uint8Array) => void {
  let parts: Uint8Array[] = []
  let length = 0
  let needed = HEADER
  let inHeader = true

  const joined = () => {
    const [only] = parts
    const whole = parts.length === 1 && only !== undefined ? only : new Uint8Array(Buffer.concat(parts, length))
    parts = []
    length = 0
    return whole
  }
  const complete = (bytes: Uint8Array) => {
    inHeader = !inHeader
    if (!inHeader) {
      needed = new DataView(bytes.buffer, bytes.byteOffset, HEADER).getUint32(0)
      if (needed > LONGEST) throw new Error(`A message of ${needed} bytes was announced.`)
      return
    }
    needed = HEADER
    const frames = parse(decoder.decode(bytes))
    if (!Array.isArray(frames)) throw new Error('A message is no list of frames.')
    take(frames)
  }
  return (piece) => {
    let at = 0
    while (at < piece.length || needed === 0) {
      const part = piece.subarray(at, at + needed - length)
      at += part.length
      length += part.length
      // The buffer may be used again for the next piece.
      parts.push(at === piece.length && length < needed ? part.slice() : part)
      if (length < needed) return
      complete(joined())
    }
  }
}
