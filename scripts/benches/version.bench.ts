import { type Bench, repeat } from './bench.ts'
import { BINARY } from './server.ts'

export const bench: Bench = async () => {
  const version = async () => {
    const startedAt = performance.now()
    const child = Bun.spawn([BINARY, 'version'], { stdio: ['ignore', 'pipe', 'inherit'] })
    if ((await child.exited) !== 0) throw new Error('fabra version failed')
    return performance.now() - startedAt
  }
  await version()
  return [{ what: 'fabra version', unit: 'ms', values: await repeat(25, version), atMost: 30 }]
}
