import { connect, createServer, type Socket } from 'node:net'

/** A network between processes: what comes in goes out so many milliseconds later. */
export interface DelayedPath extends AsyncDisposable {
  readonly port: number
  /** Of what comes from now on, each way. */
  delayMs: number
}

export async function delayedPathTo(server: { readonly port: number }): Promise<DelayedPath> {
  const sockets = new Set<Socket>()
  const listener = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: '127.0.0.1', port: server.port, noDelay: true })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      // Nothing overtakes what came before it.
      let dueAt = 0
      const later = (send: () => void) => {
        dueAt = Math.max(dueAt, performance.now() + path.delayMs)
        if (dueAt <= performance.now()) send()
        else setTimeout(send, dueAt - performance.now())
      }
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
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
  return path
}
