/**
 * Traces by OpenTelemetry's own packages. Loaded where traces are asked for and nowhere else; nothing is registered globally, so that what a
 * definition brings along of OpenTelemetry is its own.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Context,
  type Span as OtelSpan,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { FabraError } from '../errors.ts'
import type { Logger } from './logger.ts'
import type { Span, SpanFacts, SpanStart, Tracer, Work } from './tracer.ts'

export interface OpenTelemetryOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly protocol: 'http/protobuf' | 'http/json'
  readonly timeoutMs: number
  readonly delayMs: number
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: string
  readonly ratio: number
  readonly version: string
  readonly log: Logger
}

/** Spans that wait for the collector; more are dropped. */
const MOST_WAITING = 4_096
const MOST_IN_ONE = 512
const MOST_LINKS = 32
/** Beyond the exporter's own time. */
const GRACE_MS = 5_000

const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT } as const

export async function openTracer(options: OpenTelemetryOptions): Promise<Tracer> {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.version': options.version, ...options.resource }),
    sampler: samplerOf(options),
    spanLimits: { linkCountLimit: MOST_LINKS },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: quiet(await exporterOf(options), options),
        maxQueueSize: MOST_WAITING,
        maxExportBatchSize: MOST_IN_ONE,
        scheduledDelayMillis: options.delayMs,
        exportTimeoutMillis: options.timeoutMs + GRACE_MS,
      }),
    ],
  })
  return new Traces(provider, provider.getTracer('fabra', options.version))
}

async function exporterOf({ url, headers, protocol, timeoutMs }: OpenTelemetryOptions): Promise<SpanExporter> {
  const settings = { url, headers: { ...headers }, timeoutMillis: timeoutMs, concurrencyLimit: 2 }
  if (protocol === 'http/json') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
    return new OTLPTraceExporter(settings)
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter(settings)
}

function samplerOf({ sampler, ratio }: OpenTelemetryOptions): Sampler {
  const [, parents, own] = /^(parentbased_)?(.+)$/.exec(sampler) ?? []
  const root =
    own === 'always_off' ? new AlwaysOffSampler() : own === 'traceidratio' ? new TraceIdRatioBasedSampler(ratio) : new AlwaysOnSampler()
  return parents === undefined ? root : new ParentBasedSampler({ root })
}

/** A collector that does not answer is told of once, and once more when it is there again. Its spans are dropped, and nobody waits for it. */
function quiet(exporter: SpanExporter, { url, log }: OpenTelemetryOptions): SpanExporter {
  let hasFailed = false
  const { host } = new URL(url)
  const tell = ({ code, error }: ExportResult) => {
    if (code === ExportResultCode.SUCCESS) {
      if (hasFailed) log.info('traces are taken again', { collector: host })
      hasFailed = false
      return
    }
    if (!hasFailed) log.warn('traces could not be sent and are dropped; this is told once', { collector: host, error: reasonOf(error) })
    hasFailed = true
  }
  return {
    export(spans, done) {
      try {
        exporter.export(spans, (result) => {
          tell(result)
          done({ code: ExportResultCode.SUCCESS })
        })
      } catch (error) {
        tell({ code: ExportResultCode.FAILED, error: error instanceof Error ? error : new Error(String(error)) })
        done({ code: ExportResultCode.SUCCESS })
      }
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush ? { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() } : {}),
  }
}

/** What a collector answered may repeat what it was sent. */
function reasonOf(error: Error | undefined): string {
  const code = error !== undefined && 'code' in error ? error.code : undefined
  return code === undefined ? (error?.message.slice(0, 200) ?? 'unknown') : String(code)
}

/** Something under way: its span, and what everything within it is told, too. */
class UnderWay implements Work {
  readonly context: Context
  readonly span: OtelSpan | undefined
  readonly passedOn: SpanFacts | undefined

  constructor(context: Context, span: OtelSpan | undefined, passedOn: SpanFacts | undefined) {
    this.context = context
    this.span = span
    this.passedOn = passedOn
  }

  get isTraced(): boolean {
    return this.span !== undefined && isSampled(this.span)
  }
}

const NOTHING = new UnderWay(ROOT_CONTEXT, undefined, undefined)
const FROM_HEADERS: TextMapGetter<Headers> = {
  get: (headers, name) => headers.get(name) ?? undefined,
  keys: (headers) => [...headers.keys()],
}

class Traces implements Tracer {
  private readonly provider: TracerProvider
  private readonly tracer: OtelTracer
  private readonly propagator = new W3CTraceContextPropagator()
  private readonly underWay = new AsyncLocalStorage<UnderWay>()

  constructor(provider: TracerProvider, tracer: OtelTracer) {
    this.provider = provider
    this.tracer = tracer
  }

  part<T>(start: SpanStart, run: (span: Span | null) => T, askedToo: readonly Work[] = []): T {
    const parent = this.underWay.getStore()
    // A trace that nobody asked to see costs nothing more than this.
    if (parent?.isTraced !== true) return run(null)
    return this.work(parent, start, run, askedToo)
  }

  root<T>(start: SpanStart, run: (span: Span) => T): T {
    return this.work(NOTHING, start, run, [])
  }

  serve<T>(headers: Headers, start: SpanStart, run: (span: Span) => T): T {
    const context = this.propagator.extract(ROOT_CONTEXT, headers, FROM_HEADERS)
    return this.work(new UnderWay(context, undefined, undefined), { kind: 'server', ...start }, run, [])
  }

  current(): Work | null {
    return this.underWay.getStore() ?? null
  }

  within<T>(work: Work, run: () => T): T {
    return work instanceof UnderWay ? this.underWay.run(work, run) : run()
  }

  context(): ReturnType<Tracer['context']> {
    const work = this.underWay.getStore()
    if (work?.span === undefined) return null
    const { traceId, spanId } = work.span.spanContext()
    const headers = new Headers()
    this.propagator.inject(work.context, headers, { set: (all: Headers, name, value) => all.set(name, value) })
    return { traceId, spanId, headers: Object.fromEntries(headers) }
  }

  async close(timeoutMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, timeoutMs)
    await Promise.race([this.provider.shutdown().catch(() => undefined), late])
    clearTimeout(timer)
  }

  private work<T>(parent: UnderWay, start: SpanStart, run: (span: Span) => T, askedToo: readonly Work[]): T {
    const passedOn = start.passedOn === undefined ? parent.passedOn : { ...parent.passedOn, ...start.passedOn }
    const span = this.tracer.startSpan(
      start.name,
      {
        kind: KINDS[start.kind ?? 'internal'],
        attributes: { ...passedOn, ...start.facts },
        links: linksOf(askedToo, parent),
      },
      parent.context,
    )
    const work = new UnderWay(trace.setSpan(parent.context, span), span, passedOn)
    const handle: Span = {
      tell: (facts) => void span.setAttributes(facts),
      fail: (reason) => failed(span, reason),
    }
    try {
      const result = this.underWay.run(work, () => run(handle))
      if (result instanceof Promise)
        result.then(
          () => span.end(),
          (error: unknown) => ended(span, error),
        )
      else span.end()
      return result
    } catch (error) {
      ended(span, error)
      throw error
    }
  }
}

function linksOf(asked: readonly Work[], parent: UnderWay) {
  const others = asked.filter((work): work is UnderWay => work instanceof UnderWay && work.span !== undefined && work.span !== parent.span)
  const spans = new Set(others.slice(0, MOST_LINKS).flatMap(({ span }) => span ?? []))
  return [...spans].map((span) => ({ context: span.spanContext() }))
}

/** Its text may hold anything: the kind of error is told alone. */
function ended(span: OtelSpan, error: unknown): void {
  failed(span, error instanceof FabraError ? error.code : error instanceof Error ? error.name : 'error')
  span.end()
}

/** One that is over, of which something still goes on. */
function isSampled(span: OtelSpan): boolean {
  return (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0
}

function failed(span: OtelSpan, reason: string): void {
  span.setAttribute('error.type', reason)
  span.setStatus({ code: SpanStatusCode.ERROR })
}
