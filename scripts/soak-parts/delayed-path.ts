import { connect, createServer, type Socket } from 'node:net'

/** A network between processes: what comes in goes out so many milliseconds later. */
export interface DelayedPath extends AsyncDisposable {
  readonly port: number
  /** Of what comes from now on, each way. */
  delayMs: number
  /** Connections end, and none is made. */
  isCut: boolean
}

/** Nothing overtakes what came before it, as it might with a timer for each: of two that are due either may come first, and the delay ends. */
function inOrder(delayMs: () => number): (send: () => void) => void {
  const waiting: { readonly dueAt: number; readonly send: () => void }[] = []
  const sendDue = () => {
    for (let next = waiting[0]; next; next = waiting[0]) {
      const leftMs = next.dueAt - performance.now()
      if (leftMs > 0) return void setTimeout(sendDue, leftMs)
      waiting.shift()
      next.send()
    }
  }
  return (send) => {
    waiting.push({ dueAt: performance.now() + delayMs(), send })
    if (waiting.length === 1) sendDue()
  }
}

export async function delayedPathTo(server: { readonly port: number }): Promise<DelayedPath> {
  const sockets = new Set<Socket>()
  let isCut = false
  const listener = createServer({ noDelay: true }, (client) => {
    if (isCut) return void client.destroy()
    const upstream = connect({ host: '127.0.0.1', port: server.port, noDelay: true })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      const later = inOrder(() => path.delayMs)
      from.on('data', (data) => later(() => to.write(data)))
      from.on('error', () => undefined)
      from.on('close', () => {
        sockets.delete(from)
        later(() => to.destroy())
      })
    }
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('The path has no port.')
  const path: DelayedPath = {
    port: address.port,
    delayMs: 0,
    get isCut() {
      return isCut
    },
    set isCut(next) {
      isCut = next
      if (next) for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
  return path
}
