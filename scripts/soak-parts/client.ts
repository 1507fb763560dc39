import { type Document, documentedSchema, schemaProblems } from '../../test/support/json-schema.ts'

/** A replica, which may be killed and come back at another address. */
export interface Target {
  url: string
  /** What does not answer then is not its fault. On the clock of performance.now(). */
  isDown: boolean
  /** What it says of itself, where replicas are of several versions. Default: that of the client. */
  readonly document?: Document
}

interface ClientRequest {
  readonly method?: string
  readonly body?: object
}

export interface Answer {
  /** 0: there was none, because the replica was killed. */
  readonly status: number
  readonly json: unknown
  /** On the clock of performance.now(). */
  readonly askedAt: number
}

/** What must not happen, each kind with the first few of it. */
export class Problems {
  readonly kinds = new Map<string, { count: number; readonly first: string[] }>()

  add(kind: string, what: string): void {
    const known = this.kinds.get(kind) ?? { count: 0, first: [] }
    this.kinds.set(kind, known)
    if (known.count++ < 5) known.first.push(`${new Date().toISOString().slice(11, 19)} ${what}`)
  }
}

/** Every answer is in time, and is what /openapi.json says that it may be. */
export class Client {
  /** Answers by what was asked and the status, with the code of an error. */
  readonly counts = new Map<string, number>()
  slowestMs = 0
  /** Told of each answer that is an error, with the times between which it was waited for. */
  onFailure: (what: string, askedAt: number, answeredAt: number) => void = () => undefined
  private readonly targets: readonly Target[]
  private readonly document: Document
  private readonly problems: Problems
  /** Nothing takes so long that still has an answer; a training set, which has no deadline of its own, may wait out faults. */
  private static readonly PATIENCE_MS = 120_000
  private static readonly TRAINING_MS = 300_000

  constructor(targets: readonly Target[], document: Document, problems: Problems) {
    this.targets = targets
    this.document = document
    this.problems = problems
  }

  /** Of one of the replicas. */
  async ask(what: string, path: string, init: ClientRequest = {}): Promise<Answer> {
    const up = this.targets.filter(({ isDown }) => !isDown)
    return this.askOne(up[Math.floor(Math.random() * up.length)], what, path, init)
  }

  /** Of each replica. */
  askAll(what: string, path: string): Promise<readonly Answer[]> {
    return Promise.all(this.targets.filter(({ isDown }) => !isDown).map((target) => this.askOne(target, what, path, {})))
  }

  private async askOne(target: Target | undefined, what: string, path: string, init: ClientRequest): Promise<Answer> {
    const askedAt = performance.now()
    if (target === undefined) return { status: 0, json: null, askedAt }
    const { url } = target
    const method = init.method ?? (init.body === undefined ? 'GET' : 'POST')
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        ...(init.body === undefined ? {} : { body: JSON.stringify(init.body), headers: { 'content-type': 'application/json' } }),
        signal: AbortSignal.timeout(path.startsWith('/v1/training-sets') ? Client.TRAINING_MS : Client.PATIENCE_MS),
      })
      const text = await response.text()
      if (!response.ok) this.onFailure(`${what} ${response.status}: ${text.slice(0, 300)}`, askedAt, performance.now())
      this.slowestMs = Math.max(this.slowestMs, performance.now() - askedAt)
      return {
        status: response.status,
        json: this.checked(what, path, { method, document: target.document ?? this.document }, response, text),
        askedAt,
      }
    } catch (error) {
      const wasKilled = target.isDown || target.url !== url
      this.count(`${what} ${wasKilled ? 'killed' : 'no answer'}`)
      if (!wasKilled) this.problems.add('no answer', `${method} ${path} after ${(performance.now() - askedAt).toFixed(0)} ms: ${error}`)
      return { status: 0, json: null, askedAt }
    }
  }

  private checked(
    what: string,
    path: string,
    { method, document }: { readonly method: string; readonly document: Document },
    response: Response,
    text: string,
  ): unknown {
    const { status } = response
    let json: unknown
    try {
      json = JSON.parse(text)
      const schema = documentedSchema(document, path.split('?')[0] ?? '', method.toLowerCase(), status)
      const found = schemaProblems(document, schema, json)
      if (status >= 400 && typeof (json as { error?: { code?: unknown } }).error?.code !== 'string') found.push('an error without a code')
      if (found.length > 0) this.problems.add('not as described', `${method} ${path}: ${status}, ${found.slice(0, 3).join('; ')}`)
    } catch (error) {
      this.problems.add('not as described', `${method} ${path}: ${status}, ${error}, ${text.slice(0, 200)}`)
    }
    const code = status < 400 ? undefined : (json as { error?: { code?: unknown; message?: unknown } } | undefined)?.error
    if (code?.code === 'internal') this.problems.add('internal error', `${method} ${path}: ${JSON.stringify(code)}`)
    if (status === 503 && code?.code === 'overloaded' && !response.headers.has('retry-after'))
      this.problems.add('not as described', `${method} ${path}: overloaded without Retry-After`)
    this.count(`${what} ${status}${code === undefined ? '' : ` ${code.code}`}`)
    return json
  }

  private count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}
