import { fromMessage, type GuestFrame, type HostFrame, type Message, toMessage } from './frames.ts'

/** A thread that runs user code, and the messages to and from it. */
export interface GuestThread {
  post(frames: readonly HostFrame[]): void
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>
  /** @returns whether the thread really ended; false when it sits in a call that cannot be interrupted. */
  terminate(): Promise<boolean>
}

export interface GuestThreadEvents {
  /** Called with every message, one that holds nothing of ours too. */
  onFrames(frames: readonly GuestFrame[]): void
  /** The thread ended though nobody asked for it. */
  onCrash(reason: string): void
}

/** How long a terminated thread may take to end before it is written off. */
const TERMINATE_MS = 2000

export function startGuestThread(url: string, events: GuestThreadEvents): GuestThread {
  const thread = new Worker(url)
  thread.unref()
  const closed = Promise.withResolvers<void>()
  let ended = false
  let reason = ''
  thread.onmessage = (event: MessageEvent<Message<GuestFrame>>) => {
    if (!ended) events.onFrames(framesOf(event.data))
  }
  thread.onerror = (event) => {
    event.preventDefault()
    reason = event.message
  }
  thread.addEventListener('close', (event) => {
    closed.resolve()
    if (ended) return
    ended = true
    const code: unknown = (event as { code?: unknown }).code
    events.onCrash(reason !== '' ? reason : `it ended with exit code ${String(code ?? 0)}`)
  })
  return {
    post(frames) {
      if (!ended) thread.postMessage(toMessage(frames))
    },
    ended: closed.promise,
    async terminate() {
      if (!ended) {
        ended = true
        thread.terminate()
      }
      const late = Promise.withResolvers<boolean>()
      const deadline = setTimeout(late.resolve, TERMINATE_MS, false)
      const done = await Promise.race([closed.promise.then(() => true), late.promise])
      clearTimeout(deadline)
      return done
    },
  }
}

/** User code can reach the port, and may send what is none of ours. */
function framesOf(message: Message<GuestFrame>): readonly GuestFrame[] {
  try {
    const frames = fromMessage(message)
    return Array.isArray(frames) ? frames.filter((frame) => typeof frame?.t === 'string') : []
  } catch {
    return []
  }
}
