/** What a worker and the process that watches over it say to each other. */

/** A worker is ready to be told. */
export interface Hello {
  readonly kind: 'hello'
}
export interface Listening {
  readonly kind: 'listening'
  readonly port: number
  /** What `fabra serve` says once it listens. */
  readonly welcome: string
}
export interface Begin {
  readonly kind: 'begin'
  readonly localKey: string
  /** Nobody listens on the port yet. */
  readonly isFirst: boolean
  /** How many share the port. */
  readonly processes: number
}
export interface Stop {
  readonly kind: 'stop'
}

/** A worker's way to the process that started it. */
export interface ParentLink {
  send(message: Hello | Listening): void
  /** @param onGone Called when that process has ended. */
  listen(onMessage: (message: unknown) => void, onGone: () => void): void
}

/** How this executable starts processes of itself, and what started it. */
export interface WorkerHost {
  /** Starts this executable: what comes before its arguments. */
  readonly command: readonly string[]
  /** Null: nobody that speaks with it. */
  readonly parent: ParentLink | null
}

export const hello = (): Hello => ({ kind: 'hello' })
export const stop = (): Stop => ({ kind: 'stop' })
export const begin = (facts: Omit<Begin, 'kind'>): Begin => ({ kind: 'begin', ...facts })
export const listening = (facts: Omit<Listening, 'kind'>): Listening => ({ kind: 'listening', ...facts })

export function isFromWorker(message: unknown): message is Hello | Listening {
  const kind = kindOf(message)
  return kind === 'hello' || kind === 'listening'
}

export function isFromParent(message: unknown): message is Begin | Stop {
  const kind = kindOf(message)
  return kind === 'begin' || kind === 'stop'
}

function kindOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'kind' in message ? message.kind : undefined
}
