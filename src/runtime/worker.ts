/** Entry point of a worker thread: the guest, wired to this thread's message port and to Fabra's definitions. */
import { rename } from '../definition/draft.ts'
import { packDefinitions } from '../definition/sent-drafts.ts'
import { encodeValue } from '../definition/value.ts'
import { fabraExports } from './fabra-module.ts'
import type { GuestFrame, HostFrame, Message } from './frames.ts'
import { fromMessage, toMessage } from './frames.ts'
import { startGuest } from './guest.ts'
import { userStack } from './guest-outcome.ts'

/** Kept, because user code may put something else in its place. */
const send: (message: Message<GuestFrame>) => void = postMessage
const post = (frames: readonly GuestFrame[]) => send(toMessage(frames))
const receive = startGuest({ exports: fabraExports, pack: packDefinitions, rename, encode: encodeValue }, post)

// A promise that nobody awaits must not take down the other calls of the thread.
const stray = (error: unknown) => {
  const text = error instanceof Error ? userStack(error) : Bun.inspect(error)
  post([{ t: 'log', id: 0, level: 'error', message: 'An error in a feature file was not caught.', fields: { error: text } }])
}
process.on('uncaughtException', stray)
process.on('unhandledRejection', stray)

addEventListener('message', (event: MessageEvent<Message<HostFrame>>) => void receive(fromMessage(event.data)))
