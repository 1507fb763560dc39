/** `fabra serve` with a clock that its parent moves: all of the server, from its sources. The executable has no such door. */
import { resolve } from 'node:path'
import { leapingClock } from './leaping-clock.ts'

const clock = leapingClock(Number(process.env['YEAR_OFFSET'] ?? 0))
const { openApp } = await import('../../src/app/app.ts')
const { readConfig } = await import('../../src/config/config.ts')
const { createLogger } = await import('../../src/observability/logger.ts')

const { YEAR_OFFSET: _, ...env } = process.env
const config = readConfig(env, { cwd: process.cwd(), terminal: false })
const log = createLogger({
  ...{ level: config.logLevel, format: config.logFormat, color: false, secrets: [], mostAlike: config.logAlike },
  write: (text) => void process.stderr.write(text),
  time: () => new Date().toISOString(),
})
const files = process.argv.slice(2).map((file) => resolve(file))
const app = await openApp({ files, config, log, clockOffset: 0, clock }).catch((error: unknown) => {
  console.error(Bun.inspect(error, { depth: 6 }))
  process.exit(1)
})
const server = await app.listen()
app.watch((error) => process.send?.({ kind: 'reloaded', problem: error === undefined ? null : String(error) }))
process.on('message', ({ leap }: { readonly leap?: number }) => {
  if (leap === undefined) void clock.swept().then(() => process.send?.({ kind: 'swept' }))
  else void clock.leap(leap).then(() => process.send?.({ kind: 'leapt', now: clock.now() }))
})
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)))
process.send?.({ kind: 'listening', url: server.url, now: clock.now() })
