import { connect } from 'node:net'

/** What came back before the server closed, or until as many answers as asked for were whole. */
export interface RawAnswer {
  /** Of each answer, in order; none: closed without a word. */
  readonly statuses: readonly number[]
  readonly text: string
}

export interface RawOptions {
  /** Answers to wait for. Default: until the server closes. */
  readonly answers?: number
  /** Hang up when everything is sent and this much has come. */
  readonly hangUp?: boolean
}

const LONGEST_MS = 60_000

/** Bytes as they are, for requests that no client would write. A server that neither answers nor closes is an error. */
export function rawRequest(port: number, bytes: string | Uint8Array, { answers, hangUp = false }: RawOptions = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const done = () => {
      socket.destroy()
      resolve({ statuses: statusesIn(text), text })
    }
    socket.setTimeout(LONGEST_MS, () => {
      socket.destroy()
      reject(new Error(`Neither an answer nor an end to ${JSON.stringify(bytes.toString().slice(0, 200))}`))
    })
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (answers !== undefined && statusesIn(text).length >= answers && isWhole(text)) done()
    })
    socket.on('close', done)
    // A server that closes at once may do so before all is written.
    socket.on('error', done)
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => {
      if (hangUp) socket.destroy()
    })
  })
}

function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

/** Whether the last answer has all of its body. */
function isWhole(text: string): boolean {
  const start = text.lastIndexOf('HTTP/1.1 ')
  const end = text.indexOf('\r\n\r\n', start)
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(text.slice(start, end)) ?? []
  return end >= 0 && text.length >= end + 4 + Number(length ?? 0)
}
