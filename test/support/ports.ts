import { createServer } from 'node:net'

/**
 * A TCP port of 127.0.0.1 that nobody listens on. Taken from the system by listening for an instant; another process could
 * take it before the caller does, so where a program can be told port 0, do that instead.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no address'))))
    })
  })
}
