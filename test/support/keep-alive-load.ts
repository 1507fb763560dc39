/** Clients that keep their connections and ask again at once, as a load balancer does; a request that gets no answer is counted, never tried again. */
import { connect, type Socket } from 'node:net'

export interface KeepAliveLoad {
  /** Answered with 200. */
  readonly answered: number
  /** Sent on an open connection and never answered, or not with 200. */
  readonly lost: number
  /** What became of those. */
  readonly losses: readonly string[]
  /** Resolves when every client has found the server gone. */
  readonly ended: Promise<void>
}

export function keepAliveLoad(url: string, clients: number, headers: Readonly<Record<string, string>> = {}): KeepAliveLoad {
  const { hostname, port, pathname, search } = new URL(url)
  const head = Object.entries({ host: `${hostname}:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  const request = `GET ${pathname}${search} HTTP/1.1\r\n${head.join('')}\r\n`
  const counts = { answered: 0 }
  const losses: string[] = []
  const client = async () => {
    for (;;) {
      const socket = await open(hostname, Number(port))
      if (!socket) return
      for (let last = false; !last; ) {
        const answer = await ask(socket, request)
        if (answer?.status === 200) counts.answered++
        else losses.push(answer === null ? 'no answer' : `status ${answer.status}`)
        last = answer === null || answer.last
      }
      socket.destroy()
    }
  }
  const ended = Promise.all(Array.from({ length: clients }, client)).then(() => undefined)
  return {
    get answered() {
      return counts.answered
    },
    get lost() {
      return losses.length
    },
    losses,
    ended,
  }
}

function open(host: string, port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true }, () => resolve(socket))
    socket.once('error', () => resolve(null))
  })
}

/** @returns null when the connection ends before the answer does. */
function ask(socket: Socket, request: string): Promise<{ status: number; last: boolean } | null> {
  return new Promise((resolve) => {
    let text = ''
    const finish = (answer: { status: number; last: boolean } | null) => {
      socket.removeAllListeners()
      socket.on('error', () => undefined)
      resolve(answer)
    }
    socket.on('error', () => finish(null))
    socket.on('close', () => finish(null))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const headEnd = text.indexOf('\r\n\r\n')
      const head = text.slice(0, headEnd)
      if (headEnd < 0 || text.length < headEnd + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)) return
      finish({ status: Number(head.slice(9, 12)), last: /^connection: close$/im.test(head) })
    })
    socket.write(request)
  })
}
