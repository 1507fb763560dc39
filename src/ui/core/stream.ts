/** Server-sent events, by a request of its own: the browser's EventSource sends no header, and a key belongs in no address. */
import type { EventTypes } from '../../http/wire.ts'
import { Failure, send } from './ask.ts'

const PAUSE_MS = { first: 1_000, longest: 20_000 }

export type StreamEvent = { [K in keyof EventTypes]: { readonly kind: K; readonly data: EventTypes[K] } }[keyof EventTypes]

export interface Stream {
  readonly onEvent: (event: StreamEvent) => void
  /** Null: it flows. Pages ask every few seconds besides, so nothing is lost but haste. */
  readonly onState?: (failure: Failure | null) => void
}

/** Follows until it is told to stop. After a break it goes on where it was, as far as the server still knows. @returns what stops it. */
export function follow(path: string, { onEvent, onState }: Stream): () => void {
  const stop = new AbortController()
  let lastId: string | null = null
  let pauseMs = PAUSE_MS.first
  const once = async () => {
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (lastId !== null) headers['last-event-id'] = lastId
    const response = await send(path, { headers, signal: stop.signal, limitMs: null })
    onState?.(null)
    pauseMs = PAUSE_MS.first
    for await (const { id, event, data } of messages(response)) {
      lastId = id ?? lastId
      onEvent({ kind: event, data: JSON.parse(data) } as StreamEvent)
    }
  }
  const run = async () => {
    while (!stop.signal.aborted) {
      const failure = await once().then(
        () => new Failure({ status: 0, code: 'ended', message: 'The stream ended.' }),
        (error: unknown) => (error instanceof Failure ? error : new Failure({ status: 0, code: 'broken', message: 'The stream broke.' })),
      )
      if (stop.signal.aborted) return
      onState?.(failure)
      // What this server does not have, or this key may not see, will not be there in a second.
      if (failure.status >= 400 && failure.status < 500) return
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      pauseMs = Math.min(PAUSE_MS.longest, pauseMs * 2)
    }
  }
  void run()
  return () => stop.abort()
}

interface Message {
  readonly id: string | null
  readonly event: string
  readonly data: string
}

async function* messages(response: Response): AsyncGenerator<Message> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (reader) {
    const { done, value } = await reader.read()
    if (done) return
    text += value.replaceAll('\r\n', '\n')
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const message = parsed(text.slice(0, end))
      text = text.slice(end + 2)
      if (message) yield message
    }
  }
}

/** A comment alone, which keeps connections open, is no message. */
function parsed(block: string): Message | null {
  const fields = block.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line))
  const of = (name: string) => fields.flatMap((field) => (field?.[1] === name ? [field[2] ?? ''] : []))
  const data = of('data')
  return data.length === 0 ? null : { id: of('id').at(-1) ?? null, event: of('event').at(-1) ?? 'message', data: data.join('\n') }
}
