import { createServer } from 'node:net'

/**
 * Below the ports that a system gives to whoever asks for any (Linux: from 32,768 on), where the servers and connections of all tests lie: what was
 * free a moment ago is free still when the caller's server listens there, or listens there again.
 */
const [FIRST, LAST] = [12_000, 32_000]
/** Of each process of tests; those of processes that run at once lie apart. */
const OF_A_PROCESS = 200
const first = FIRST + (process.pid % ((LAST - FIRST) / OF_A_PROCESS)) * OF_A_PROCESS
let count = Math.floor(Math.random() * OF_A_PROCESS)

/** A TCP port of 127.0.0.1 that nobody listens on. Where a program can be told port 0, do that instead. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < OF_A_PROCESS; tries++) {
    const port = first + (count++ % OF_A_PROCESS)
    if (await isFree(port)) return port
  }
  throw new Error(`None of the ports from ${first} on is free.`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
