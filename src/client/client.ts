/**
 * `fabra/client` of the npm package, built for any platform that has fetch, and kept small. fabra-client.d.ts declares it: what is asked for and what comes back
 * is known by types alone.
 */

interface Options {
  readonly url: string
  readonly apiKey?: string
  readonly timeoutMs?: number
  readonly retries?: number
  readonly fetch?: (address: string, init: RequestInit) => Promise<Response>
}

interface CallOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly maxAge?: string
  readonly inputs?: object
  readonly idempotencyKey?: string
}

interface ErrorBody {
  readonly code?: string
  readonly message?: string
  readonly hint?: string
  readonly request_id?: string
}

interface ReadAnswer {
  readonly features: readonly string[]
  readonly results: readonly {
    readonly entity: Readonly<Record<string, unknown>>
    readonly values: readonly unknown[]
    readonly statuses: readonly string[]
    readonly served_from: readonly (string | null)[]
    readonly freshness_ms: readonly (number | null)[]
    readonly event_timestamps: readonly (string | null)[]
  }[]
  readonly errors?: readonly (ErrorBody & { readonly row: number; readonly feature: string })[]
}

export class FabraError extends Error {
  readonly code: string
  readonly hint: string | undefined
  readonly status: number
  readonly requestId: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(answer: ErrorBody, status = 0, retryAfterMs?: number, cause?: unknown) {
    super(answer.message, { cause })
    this.name = 'FabraError'
    this.code = answer.code ?? 'internal'
    this.hint = answer.hint
    this.status = status
    this.requestId = answer.request_id
    this.retryAfterMs = retryAfterMs
  }
}

const FIRST_PAUSE_MS = 50

export function createClient({ url, apiKey, timeoutMs = 10_000, retries = 3, fetch: given }: Options) {
  async function call(method: string, path: string, body: unknown, isRead: boolean, options: CallOptions = {}): Promise<unknown> {
    const limit = options.timeoutMs ?? timeoutMs
    const end = Date.now() + limit
    const timeout = AbortSignal.timeout(limit)
    const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout
    for (let tries = isRead ? retries : 0, pause = FIRST_PAUSE_MS; ; tries--, pause *= 2) {
      try {
        return await once(method, path, body, options, signal)
      } catch (cause) {
        options.signal?.throwIfAborted()
        const error = timeout.aborted
          ? new FabraError({ code: 'deadline_exceeded', message: `${path} had no answer within ${limit} ms.` }, 0, undefined, cause)
          : cause instanceof FabraError
            ? cause
            : new FabraError({ code: 'server_unreachable', message: `No answer from ${url}.` }, 0, undefined, cause)
        const wait = (error.retryAfterMs ?? 0) + Math.random() * pause
        const isWorthIt = error.code === 'server_unreachable' || error.status === 503
        if (tries <= 0 || !isWorthIt || Date.now() + wait >= end) throw error
        await new Promise((resolve) => setTimeout(resolve, wait))
      }
    }
  }

  async function once(method: string, path: string, body: unknown, options: CallOptions, signal: AbortSignal): Promise<unknown> {
    const headers: Record<string, string> = {}
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (apiKey) headers['authorization'] = `Bearer ${apiKey}`
    if (options.idempotencyKey) headers['idempotency-key'] = options.idempotencyKey
    const init: RequestInit = { method, headers, signal }
    if (body !== undefined) init.body = JSON.stringify(body, writeBigint)
    const response = await (given ?? fetch)(url.replace(/\/+$/, '') + path, init)
    const text = await response.text()
    let answer: unknown
    try {
      answer = JSON.parse(text, readBigint)
    } catch (cause) {
      throw new FabraError({ message: `The answer is not JSON: ${text.slice(0, 99)}` }, response.status, undefined, cause)
    }
    if (response.ok) return answer
    const after = response.headers.get('retry-after')
    throw new FabraError(
      (answer as { error?: ErrorBody }).error ?? {},
      response.status,
      after ? Number(after) * 1000 || undefined : undefined,
    )
  }

  const asRow = (key: unknown) => (typeof key === 'object' && key !== null ? key : { entity_id: key })
  const rowsPath = (kind: string, name: string, what: string) => `/v1/${kind}/${encodeURIComponent(name)}/${what}`

  function read(features: readonly string[], rows: readonly unknown[], { maxAge, ...options }: CallOptions = {}): Promise<ReadAnswer> {
    return call(
      'POST',
      '/v1/features',
      { features, rows: rows.map(asRow), max_age: maxAge, detailed: true },
      true,
      options,
    ) as Promise<ReadAnswer>
  }

  return {
    async feature(name: string, key: unknown, options?: CallOptions) {
      const { features, results, errors } = await read([name], [{ ...asRow(key), ...options?.inputs }], options)
      if (errors?.[0]) throw new FabraError(errors[0])
      const one = results[0] as ReadAnswer['results'][number]
      const status = one.statuses[0]
      const columns = () => Object.fromEntries(features.map((ref, i) => [ref.slice(name.length + 1), one.values[i]]))
      const value = features[0] === name ? one.values[0] : status === 'missing' ? null : columns()
      return { value, status, servedFrom: one.served_from[0], ageMs: one.freshness_ms[0], eventTimestamp: one.event_timestamps[0] }
    },
    async features(names: string | readonly string[], rows: readonly unknown[], options?: CallOptions) {
      const { features, results, errors = [] } = await read(typeof names === 'string' ? [names] : names, rows, options)
      const byName = (values: readonly unknown[]) => Object.fromEntries(features.map((name, i) => [name, values[i]]))
      return results.map((one, row) => ({
        entity: one.entity,
        values: byName(one.values),
        statuses: byName(one.statuses),
        agesMs: byName(one.freshness_ms),
        errors: Object.fromEntries(errors.filter((error) => error.row === row).map((error) => [error.feature, new FabraError(error)])),
      }))
    },
    push: (name: string, rows: readonly unknown[], options?: CallOptions) =>
      call('POST', rowsPath('features', name, 'values'), { rows }, false, options),
    append: (name: string, rows: readonly unknown[], options?: CallOptions) =>
      call('POST', rowsPath('sources', name, 'rows'), { rows }, false, options),
    forget(entity: string, key: unknown, options?: CallOptions) {
      const columns =
        typeof key === 'object' && key !== null ? Object.entries(key).map(([name, value]): [string, string] => [name, String(value)]) : null
      const id = columns ? `-?${new URLSearchParams(columns)}` : encodeURIComponent(String(key))
      return call('DELETE', `/v1/entities/${encodeURIComponent(entity)}/${id}`, undefined, false, options)
    },
  }
}

/** Whole numbers beyond ±(2^53 − 1) are bigints, where the platform tells their digits. */
function readBigint(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  return /^-?\d+$/.test(context?.source ?? '') ? BigInt(context?.source as string) : value
}

function writeBigint(_: string, value: unknown): unknown {
  const json = JSON as unknown as { rawJSON?(text: string): unknown }
  return typeof value === 'bigint' ? (json.rawJSON?.(`${value}`) ?? `${value}`) : value
}
