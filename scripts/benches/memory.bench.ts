import { readFileSync } from 'node:fs'
import { type Bench, repeat } from './bench.ts'
import { FIRST_READ, read, serveExample } from './server.ts'

/** Resident memory at rest with the basic example loaded and one feature read. */
export const bench: Bench = async () => {
  const resident = async () => {
    const server = await serveExample()
    try {
      await read(server, FIRST_READ)
      // At rest: what the start has left behind has been collected.
      await Bun.sleep(3_000)
      const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]
      return Number(kibibytes) / 1024
    } finally {
      await server.stop()
    }
  }
  return [{ what: 'resident at rest, basic example', unit: 'MiB', values: await repeat(3, resident), atMost: 150 }]
}
