/** What Redis answers to HMGET and PING: the texts of a row as they came, each between its length and a line end; a word; what is wrong. */
export type Reply = Buffer | string | Error

const [CR, MINUS, PLUS, STAR, DOLLAR, ZERO] = [13, 45, 43, 42, 36, 48]
/** Length of the line end, `\r\n`. */
const END = 2
const INCOMPLETE = -2

/**
 * Reads RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec) as it comes from a socket, cut anywhere. A row is a part of the bytes
 * that came.
 */
export class RespReader {
  private readonly onReply: (reply: Reply) => void
  /** Of a reply that is not whole: put together once, when so many bytes are there as it is known to have. */
  private pieces: Buffer[] = []
  private piecesLength = 0
  private needed = 0
  private bytes: Buffer = Buffer.alloc(0)
  private at = 0

  constructor(onReply: (reply: Reply) => void) {
    this.onReply = onReply
  }

  /**
   * Takes the next bytes, and tells of each reply that is whole with them.
   * @throws Error at anything but the answers to HMGET and PING: what follows cannot be told apart then.
   */
  take(chunk: Buffer): void {
    this.bytes = chunk
    if (this.piecesLength > 0) {
      this.pieces.push(chunk)
      this.piecesLength += chunk.length
      if (this.piecesLength < this.needed) return
      this.bytes = Buffer.concat(this.pieces, this.piecesLength)
    }
    const { bytes } = this
    this.at = 0
    let begin = 0
    while (begin < bytes.length) {
      this.needed = 0
      const reply = this.readReply()
      if (reply === undefined) break
      begin = this.at
      this.onReply(reply)
    }
    this.pieces = begin < bytes.length ? [bytes.subarray(begin)] : []
    this.piecesLength = bytes.length - begin
    this.needed -= begin
  }

  private readReply(): Reply | undefined {
    const kind = this.bytes[this.at++]
    if (kind === STAR) return this.readRow()
    if (kind !== PLUS && kind !== MINUS) throw new Error('Redis answered what was not asked.')
    const end = this.bytes.indexOf('\r\n', this.at)
    if (end < 0) return undefined
    const text = this.bytes.toString('utf8', this.at, end)
    this.at = end + END
    return kind === PLUS ? text : new Error(text)
  }

  private readRow(): Buffer | undefined {
    const length = this.readNumber()
    if (length === INCOMPLETE) return undefined
    const { bytes } = this
    const begin = this.at
    for (let i = 0; i < length; i++) {
      if (this.at >= bytes.length) return undefined
      if (bytes[this.at++] !== DOLLAR) throw new Error('Redis answered something else than text.')
      const size = this.readNumber()
      if (size === INCOMPLETE) return undefined
      if (size < 0) continue
      this.needed = this.at + size + END
      if (this.needed > bytes.length) return undefined
      this.at = this.needed
    }
    return bytes.subarray(begin, this.at)
  }

  /** With its line end. */
  private readNumber(): number {
    const { bytes } = this
    const sign = bytes[this.at] === MINUS ? -1 : 1
    let value = 0
    for (let i = sign < 0 ? this.at + 1 : this.at; i + 1 < bytes.length; i++) {
      const digit = bytes[i] as number
      if (digit === CR) {
        this.at = i + END
        return sign * value
      }
      value = value * 10 + digit - ZERO
    }
    return INCOMPLETE
  }
}
