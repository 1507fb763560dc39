import { Console } from 'node:console'
import { Writable } from 'node:stream'
import type { LogLevel } from './frames.ts'

/** Tells the log what user code printed. */
export type Print = (level: LogLevel, message: string) => void

/** Takes standard output from user code: it belongs to the command's results. Done once in a thread, before any user code is loaded. */
export function redirectOutput(print: Print): void {
  const rest = new Console({ stdout: sink(print, 'info'), stderr: sink(print, 'error') })
  for (const method of ['dir', 'dirxml', 'table', 'trace', 'assert', 'count', 'countReset', 'time', 'timeLog', 'timeEnd'] as const) {
    Object.assign(console, { [method]: rest[method].bind(rest) })
  }
  const levels = { log: 'info', info: 'info', debug: 'debug', warn: 'warn', error: 'error', group: 'info', groupCollapsed: 'info' } as const
  for (const [method, level] of Object.entries(levels)) {
    const say = (...args: unknown[]) => {
      if (args.length > 0) print(level, args.map((arg) => (typeof arg === 'string' ? arg : Bun.inspect(arg))).join(' '))
    }
    Object.assign(console, { [method]: say })
  }
  const write = (...parts: unknown[]) => print('info', parts.map(String).join(''))
  Object.assign(console, { groupEnd: () => {}, clear: () => {}, write })
  for (const [stream, level] of [
    [process.stdout, 'info'],
    [process.stderr, 'error'],
  ] as const) {
    const target = sink(print, level)
    stream.write = target.write.bind(target)
  }
}

function sink(print: Print, level: LogLevel): Writable {
  return new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      print(level, new TextDecoder().decode(chunk).replace(/\n$/, ''))
      done()
    },
  })
}
