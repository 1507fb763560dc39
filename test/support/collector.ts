/** A collector of traces that speaks OTLP over HTTP, with JSON, and remembers what it was sent. */
export interface TestCollector extends AsyncDisposable {
  readonly url: string
  /** By the order in which they came. */
  readonly spans: readonly SentSpan[]
  readonly requests: readonly { readonly path: string; readonly headers: Headers; readonly body: Uint8Array }[]
  /** A span's name and those of all it is a part of, outermost first. */
  path(span: SentSpan): string
  named(name: string): SentSpan
}

export interface SentSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly kind: number
  readonly links: readonly { readonly spanId: string }[]
  readonly status: { readonly code?: number }
  readonly facts: Readonly<Record<string, unknown>>
  readonly resource: Readonly<Record<string, unknown>>
}

interface Pair {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Pair[] }
    readonly scopeSpans: readonly { readonly spans: readonly (Partial<SentSpan> & { readonly attributes: readonly Pair[] })[] }[]
  }[]
}

const NOWHERE = { name: '', traceId: '', spanId: '', parentSpanId: '', kind: 0, links: [], status: {} }

export function startCollector(): TestCollector {
  const spans: SentSpan[] = []
  const requests: { path: string; headers: Headers; body: Uint8Array }[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const body = await request.bytes()
      requests.push({ path: new URL(request.url).pathname, headers: request.headers, body })
      if (request.headers.get('content-type') !== 'application/json') return new Response(new Uint8Array())
      for (const { resource, scopeSpans } of (JSON.parse(new TextDecoder().decode(body)) as Sent).resourceSpans)
        for (const span of scopeSpans.flatMap((scope) => scope.spans))
          spans.push({ ...NOWHERE, ...span, facts: factsOf(span.attributes), resource: factsOf(resource.attributes) })
      return Response.json({})
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}`,
    spans,
    requests,
    path(span) {
      const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
      return parent ? `${this.path(parent)} > ${span.name}` : span.name
    },
    named(name) {
      const found = spans.find((span) => span.name === name)
      if (!found) throw new Error(`No span "${name}" came, but ${spans.map((span) => span.name).join(', ')}.`)
      return found
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

function factsOf(pairs: readonly Pair[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, 'intValue' in value ? Number(value['intValue']) : Object.values(value)[0]]))
}
