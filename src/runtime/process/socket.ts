import { createMessageReader, packMessage } from './wire.ts'

/** The two-way socket to a process, over a descriptor that is ours. */
export interface FrameSocket {
  /** Sends frames, by their texts, as one message. What the process does not take yet waits; there is never more of it than calls under way. */
  post(frames: readonly string[]): void
  /** The process reads its end; what it still sends is not heard any more. */
  close(): void
}

export interface FrameSocketEvents {
  onFrames(frames: readonly unknown[]): void
  /** What came can no longer be understood. */
  onBroken(reason: string): void
  /** The other end is closed. No sign that whoever had it is dead: see below. */
  onClosed?(): void
  /** Reads the text of a message. Default: as Python writes it. */
  parse?(text: string): unknown
}

export function openFrameSocket(fd: number, events: FrameSocketEvents): FrameSocket {
  let socket: Bun.Socket | null = null
  let backlog: Uint8Array[] = []
  let closed = false
  const read = createMessageReader(events.onFrames, events.parse)

  function flush(): void {
    while (socket !== null && !closed) {
      const [first] = backlog
      if (first === undefined) return
      const written = socket.write(first)
      if (written < 0) return
      if (written < first.length) {
        backlog[0] = first.subarray(written)
        return
      }
      backlog.shift()
    }
  }
  const end = () => {
    closed = true
    backlog = []
  }

  const options: Bun.FdSocketOptions = {
    fd,
    socket: {
      open(opened) {
        socket = opened
        if (closed) opened.end()
        else flush()
      },
      data(_, bytes) {
        if (closed) return
        try {
          read(bytes)
        } catch (error) {
          end()
          events.onBroken(error instanceof Error ? error.message : String(error))
        }
      },
      drain: flush,
      // No sign of death: a grandchild may hold the other end, and a living process may have closed it. What counts is its exit.
      close() {
        end()
        events.onClosed?.()
      },
      error: end,
    },
  }
  // The types have these options, and no call that takes them.
  Bun.connect(options as unknown as Bun.UnixSocketOptions).catch((error: unknown) =>
    events.onBroken(error instanceof Error ? error.message : String(error)),
  )

  return {
    post(frames) {
      if (closed) return
      backlog.push(packMessage(frames))
      if (backlog.length === 1) flush()
    },
    close() {
      end()
      socket?.end()
    },
  }
}
