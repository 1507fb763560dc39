import { connect, createServer, type Socket } from 'node:net'

/**
 * What becomes of data on its way.
 * `pass`: it goes through. `refuse`: connections are shut. `hold`: nothing goes either way, until it passes again.
 * `lose answers of commits`: a COMMIT goes through, and the connection is cut before its answer. `hold after commits`: a COMMIT goes through, then
 * nothing more on any connection. `hold after appends`: only after that of a transaction that wrote history. `hold before commits`: not even the
 * COMMIT. `hold what is owed`: whoever asks what others owe to the online store gets no answer, and all else goes through.
 */
export type ProxyMode =
  | 'pass'
  | 'refuse'
  | 'hold'
  | 'lose answers of commits'
  | 'hold after commits'
  | 'hold after appends'
  | 'hold before commits'
  | 'hold what is owed'

export interface PostgresProxy extends AsyncDisposable {
  /** The server's address, through the proxy. */
  readonly url: string
  set(mode: ProxyMode): void
  /** COMMITs that the mode was about. */
  commits(): number
  /** Questions that were held. */
  questions(): number
}

/** Stands before a server and does what networks do. */
export async function startPostgresProxy(server: { readonly url: string; readonly port: number }): Promise<PostgresProxy> {
  let mode: ProxyMode = 'pass'
  let isHeld = false
  let commits = 0
  let questions = 0
  const sockets = new Set<Socket>()
  let kept: (() => void)[] = []
  const through = (send: () => void, isMuted = false) => {
    if (isHeld || isMuted) kept.push(send)
    else send()
  }
  const listener = createServer((client) => {
    if (mode === 'refuse') {
      client.destroy()
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: server.port })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        // The other side hears of it when the network lets it.
        through(() => (socket === client ? upstream : client).destroy())
      })
    }
    let isDeaf = false
    let isAppending = false
    let isMuted = false
    client.on('data', (data) => {
      isAppending ||= data.includes('INSERT INTO fabra.history_packed')
      const isAnyCommit = data.includes('COMMIT\0')
      const isCommit = isAnyCommit && mode !== 'pass' && (isAppending || mode !== 'hold after appends')
      if (isAnyCommit) isAppending = false
      if (isCommit) commits++
      if (isCommit && mode === 'hold before commits') isHeld = true
      if (isCommit && mode === 'lose answers of commits') isDeaf = true
      if (mode === 'hold what is owed' && data.includes('FROM fabra.debts')) questions++
      isMuted = mode === 'hold what is owed' && (isMuted || data.includes('FROM fabra.debts'))
      through(() => upstream.write(data), isMuted)
      if (isCommit && (mode === 'hold after commits' || mode === 'hold after appends')) isHeld = true
    })
    upstream.on('data', (data) => {
      if (isDeaf) client.destroy()
      else through(() => client.write(data))
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  return {
    url: server.url.replace(`:${server.port}/`, `:${address.port}/`),
    set(next) {
      mode = next
      isHeld = next === 'hold'
      if (next === 'refuse') for (const socket of sockets) socket.destroy()
      if (isHeld) return
      const sends = kept
      kept = []
      for (const send of sends) send()
    },
    commits: () => commits,
    questions: () => questions,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
}
