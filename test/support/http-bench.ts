import { expect } from 'bun:test'
import { connect } from 'node:net'
import type { Keyring } from '../../src/auth/keyring.ts'
import { parseExact } from '../../src/definition/value.ts'
import { FabraError } from '../../src/errors.ts'
import type { HttpOptions } from '../../src/http/options.ts'
import type { Readiness } from '../../src/http/readiness.ts'
import type { Route } from '../../src/http/route.ts'
import { routeTable } from '../../src/http/route-table.ts'
import { type HttpServer, startHttp } from '../../src/http/server.ts'
import type { Logger } from '../../src/observability/logger.ts'
import { writeArrowStream } from '../../src/store/duckdb/training/arrow-values.ts'
import { type Bench, openBench, type WrittenBench } from './bench.ts'
import { benchInsight } from './bench-insight.ts'
import { type Document, documentedSchema, schemaProblems } from './json-schema.ts'

export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  /** Integers beyond 2^53 are bigints. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of every shape.
  readonly json: any
}

/** The API on a real socket over a bench. Every answer is held to what /openapi.json says of its route. */
export interface HttpBench extends AsyncDisposable {
  readonly bench: Bench
  readonly server: HttpServer
  /** What the server was made with. */
  readonly options: HttpOptions
  readonly table: readonly Route[]
  /** How often a route asked for anything that only those may see who are let in. */
  useCount(): number
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  post(path: string, body: unknown): Promise<Answer>
  send(path: string, request: RequestInit): Promise<Answer>
  /** Bytes as they are, for requests that no client would write. */
  raw(bytes: string): Promise<string>
  close(): Promise<void>
}

export interface BenchOptions {
  readonly hosts?: readonly string[]
  readonly origins?: readonly string[]
  readonly isDevelopment?: boolean
  readonly metricsPort?: number
  readonly readiness?: () => Readiness
  readonly log?: Logger
  /** That may read the description of the API. */
  readonly key?: string
}

export async function openHttpBench(written: WrittenBench, keyring: Keyring | null = null, options: BenchOptions = {}): Promise<HttpBench> {
  const bench = await openBench(written)
  const { parts, version } = bench
  let touches = 0
  const counted = <T>(value: T): T => {
    touches++
    return value
  }
  const http: HttpOptions = {
    serving: () => counted(version().serving),
    readiness: () => counted(options.readiness?.() ?? { ready: true, stores: { duckdb: 'ok', memory: 'ok' } }),
    metrics: () => counted([{ name: 'fabra_ready', help: 'Ready.', type: 'gauge', samples: [{ value: 1 }] }]),
    async refresh(feature, keys) {
      if (feature.refresh === null) throw new FabraError('not_refreshable', 'Its values are pushed.', { hint: 'Push one.' })
      return version().refresher.run(feature, keys ?? (await parts().activeKeys.of(feature)), { reason: 'request', before: null })
    },
    insight: benchInsight(bench.clock),
    runs: { list: (filter) => counted(parts().runs.list(filter)) },
    async history(query) {
      await parts().recorder.flush()
      return parts().offline.history(query)
    },
    backup: () => Promise.reject(new FabraError('not_found', 'The bench has no data file.')),
    exportRows: () => Promise.reject(new FabraError('overloaded', 'The bench exports nothing.')),
    exportHistory: () => Promise.reject(new FabraError('overloaded', 'The bench exports nothing.')),
    keptSince: () => Promise.resolve(new Map()),
    historyOfKey: (query) => parts().offline.historyOfKey(query),
    ingest: {
      push: (feature, rows) => bench.ingest().push(feature, rows),
      append: (source, rows, key) => bench.ingest().append(source, rows, key),
      forget: (entity, key) => bench.ingest().forget(entity, key),
    },
    training: {
      begin: () => counted(Promise.reject(new FabraError('overloaded', 'Training sets are tested on the whole.'))),
      beginLook: () => counted(Promise.reject(new FabraError('overloaded', 'Training sets are tested on the whole.'))),
      computeOne: async () => counted(null),
      computeMany: async () => {},
      report: () => counted(undefined),
      list: () => counted([]),
      cancel: () => counted(false),
    },
    writeTable: writeArrowStream,
    keyring,
    isDevelopment: options.isDevelopment ?? true,
    clock: bench.clock,
    log: options.log ?? parts().log,
    version: '0.0.0',
  }
  const { hosts = [], origins = [], metricsPort = null } = options
  const server = await startHttp(http, { host: '127.0.0.1', port: 0, sharing: 'alone', lingerMs: 0, hosts, origins, metricsPort })
  const document = (await (
    await fetch(`${server.url}/openapi.json`, { headers: options.key === undefined ? {} : { 'x-api-key': options.key } })
  ).json()) as Document

  async function send(path: string, request: RequestInit): Promise<Answer> {
    const response = await fetch(`${server.url}${path}`, request)
    // It goes on for as long as somebody listens.
    if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) {
      await response.body?.cancel()
      return { status: response.status, text: '', headers: response.headers, json: undefined }
    }
    const text = await response.text()
    const method = (request.method ?? 'GET').toLowerCase()
    if (method === 'head') return { status: response.status, text, headers: response.headers, json: undefined }
    // For Prometheus, and for people.
    if ((path === '/metrics' || path === '/docs') && response.ok)
      return { status: response.status, text, headers: response.headers, json: undefined }
    expect(response.headers.get('content-type')).toBe('application/json')
    const json = parseExact(text)
    const schema = documentedSchema(document, path.split('?')[0] ?? '', method, response.status)
    expect(schemaProblems(document, schema, json)).toEqual([])
    return { status: response.status, text, headers: response.headers, json }
  }

  async function close() {
    await server.stop(100)
    await bench.close()
  }

  return {
    bench,
    server,
    options: http,
    table: routeTable(http),
    useCount: () => touches,
    get: (path, headers) => send(path, { headers: headers ?? {} }),
    post: (path, body) => send(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
    send,
    raw: (bytes) => exchange(server.port, bytes),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.setTimeout(5_000, () => reject(new Error('no answer')))
    socket.on('data', (chunk) => {
      chunks.push(Buffer.from(chunk))
      // Answers here are short, and the connection is kept: one read is the whole answer.
      socket.end()
    })
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    socket.on('error', reject)
    socket.write(bytes)
  })
}
