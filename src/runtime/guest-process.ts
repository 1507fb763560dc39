import { Console } from 'node:console'
import { Writable } from 'node:stream'
import type { LogLevel } from './frames.ts'

/** Tells the log what user code printed. */
export type Print = (level: LogLevel, message: string) => void

/**
 * Takes from user code what would reach beyond its own thread: ending the process, and writing into standard output, which belongs to
 * the command's results. Done once in a thread, before any user code is loaded.
 */
export function shieldProcess(print: Print): void {
  refuseToEnd()
  redirectOutput(print)
}

/** `abort` and a signal would end the server with everything it holds; `exit` this thread with the calls of others. */
function refuseToEnd(): void {
  const refusal = (what: string) => new Error(`${what} was called, and a features file cannot end the server. Throw an error instead.`)
  const { kill } = process
  const replaced = {
    exit: () => {
      throw refusal('process.exit()')
    },
    reallyExit: () => {
      throw refusal('process.reallyExit()')
    },
    abort: () => {
      throw refusal('process.abort()')
    },
    kill: (pid: number, signal?: string | number) => {
      if (pid === process.pid || pid <= 0) throw refusal('process.kill() of the server itself')
      return kill.call(process, pid, signal)
    },
  }
  Object.assign(process, replaced)
}

function redirectOutput(print: Print): void {
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
  Object.assign(console, { groupEnd: () => {}, clear: () => {} })
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
