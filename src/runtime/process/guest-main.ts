/**
 * Entry point of a process that runs TypeScript functions (FABRA_ISOLATION=process): the same guest as in a thread, wired to a socket that it was
 * started with and to memory that it has in common with the server.
 */
import { dlopen } from 'bun:ffi'
import { rename } from '../../definition/draft.ts'
import { packDefinitions } from '../../definition/sent-drafts.ts'
import { encodeValue } from '../../definition/value.ts'
import { fabraExports } from '../fabra-module.ts'
import { type GuestFrame, type HostFrame, isPlainFrame } from '../frames.ts'
import { startGuest } from '../guest.ts'
import { userStack } from '../guest-outcome.ts'
import { SOCKET } from './child.ts'
import { parsePlain, plainText } from './plain-values.ts'
import { sharedWords } from './slots.ts'
import { openFrameSocket } from './socket.ts'

/** Kept, because user code is given others in their place. */
const kill = process.kill.bind(process)
/** The server is gone, or does not speak our language: nothing is worth an orderly end. */
const end = () => kill(process.pid, 'SIGKILL')

// The last word of the command is the server's.
endWithParent(Number(process.argv.at(-1)))
const socket = openFrameSocket(SOCKET, {
  onFrames: (frames) => void receive((frames as HostFrame[]).map(withSharedMemory)),
  onBroken: end,
  onClosed: end,
  parse: parsePlain,
})
const post = (frames: readonly GuestFrame[]) => socket.post(frames.map((frame) => plainText(frame, isPlainFrame(frame))))
const receive = startGuest({ exports: fabraExports, pack: packDefinitions, rename, encode: encodeValue }, post)

// A promise that nobody awaits must not take down the other calls of the process.
const stray = (error: unknown) => {
  const text = error instanceof Error ? userStack(error) : Bun.inspect(error)
  post([{ t: 'log', id: 0, level: 'error', message: 'An error in a feature file was not caught.', fields: { error: text } }])
}
process.on('uncaughtException', stray)
process.on('unhandledRejection', stray)

/** Memory does not travel: what does is the name of the file that both have mapped. */
function withSharedMemory(frame: HostFrame): HostFrame {
  if (frame.t !== 'load' || frame.shared === undefined) return frame
  return { ...frame, ...sharedWords(frame.shared) }
}

/** One that is blocked for ever would not see that its server is gone. Where the system does not offer it, it ends when it looks at its socket. */
function endWithParent(parent: number): void {
  if (process.platform !== 'linux') return
  const SET_PARENT_DEATH_SIGNAL = 1
  const SIGKILL = 9n
  for (const library of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
    try {
      const { symbols, close } = dlopen(library, { prctl: { args: ['int', 'u64', 'u64', 'u64', 'u64'], returns: 'int' } })
      symbols.prctl(SET_PARENT_DEATH_SIGNAL, SIGKILL, 0n, 0n, 0n)
      close()
      break
    } catch {
      // Another C library.
    }
  }
  // It may have gone before that was asked for.
  if (process.ppid !== parent) end()
}
