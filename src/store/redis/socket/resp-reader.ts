/** What Redis answers to HMGET and PING: the texts of a row as they came, each between its length and a line end; a word; what is wrong. */
export type Reply = Buffer | string | Error

const [CR, MINUS, PLUS, STAR, DOLLAR, ZERO] = [13, 45, 43, 42, 36, 48]
/** Length of the line end, `\r\n`. */
const END = 2
const INCOMPLETE = -2

/**
 * Reads RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec) as it comes from a socket, cut anywhere. A row is a part of the bytes
 * that came.
 * @returns takes the next bytes. Throws an Error at anything but the answers to HMGET and PING: what follows cannot be told apart then.
 */
export function createReplies(onReply: (reply: Reply) => void): (chunk: Buffer) => void {
  /** Of a reply that is not whole: put together once, when so many bytes are there as it is known to have. */
  let pieces: Buffer[] = []
  let piecesLength = 0
  let needed = 0
  let bytes: Buffer = Buffer.alloc(0)
  let at = 0

  function readReply(): Reply | undefined {
    const kind = bytes[at++]
    if (kind === STAR) return readRow()
    if (kind !== PLUS && kind !== MINUS) throw new Error('Redis answered what was not asked.')
    const end = bytes.indexOf('\r\n', at)
    if (end < 0) return undefined
    const text = bytes.toString('utf8', at, end)
    at = end + END
    return kind === PLUS ? text : new Error(text)
  }

  function readRow(): Buffer | undefined {
    const length = readNumber()
    if (length === INCOMPLETE) return undefined
    const begin = at
    for (let i = 0; i < length; i++) {
      if (at >= bytes.length) return undefined
      if (bytes[at++] !== DOLLAR) throw new Error('Redis answered something else than text.')
      const size = readNumber()
      if (size === INCOMPLETE) return undefined
      if (size < 0) continue
      needed = at + size + END
      if (needed > bytes.length) return undefined
      at = needed
    }
    return bytes.subarray(begin, at)
  }

  /** With its line end. */
  function readNumber(): number {
    const sign = bytes[at] === MINUS ? -1 : 1
    let value = 0
    for (let i = sign < 0 ? at + 1 : at; i + 1 < bytes.length; i++) {
      const digit = bytes[i] as number
      if (digit === CR) {
        at = i + END
        return sign * value
      }
      value = value * 10 + digit - ZERO
    }
    return INCOMPLETE
  }

  return (chunk) => {
    bytes = chunk
    if (piecesLength > 0) {
      pieces.push(chunk)
      piecesLength += chunk.length
      if (piecesLength < needed) return
      bytes = Buffer.concat(pieces, piecesLength)
    }
    at = 0
    let begin = 0
    while (begin < bytes.length) {
      needed = 0
      const reply = readReply()
      if (reply === undefined) break
      begin = at
      onReply(reply)
    }
    pieces = begin < bytes.length ? [bytes.subarray(begin)] : []
    piecesLength = bytes.length - begin
    needed -= begin
  }
}
