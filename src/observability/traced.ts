import type { Logger, LogLevel } from './logger.ts'
import type { SpanStart, Tracer } from './tracer.ts'

type TracedMethods<T> = {
  readonly [Name in keyof T]?: T[Name] extends (...given: infer Given) => unknown ? (...given: Given) => SpanStart : never
}

type Method = (...given: unknown[]) => unknown

/** The same object, of which calls of these methods are parts of what is under way. */
export function traced<T extends object>(tracer: Tracer, target: T, parts: TracedMethods<T>): T {
  const starts = new Map(Object.entries(parts) as [string, (...given: unknown[]) => SpanStart][])
  const wrapped = new Map<string | symbol, { readonly of: Method; readonly by: Method }>()
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const known = wrapped.get(name)
      if (known?.of === value) return known.by
      const method = value as Method
      const start = typeof name === 'string' ? starts.get(name) : undefined
      const by: Method = start
        ? (...given) => tracer.part(start(...given), () => method.apply(target, given))
        : (...given) => method.apply(target, given)
      wrapped.set(name, { of: method, by })
      return by
    },
  })
}

/** Lines that are written in the course of a request, or of another trace, say which. */
export function tracedLogger(tracer: Tracer, log: Logger): Logger {
  const line =
    (level: LogLevel): Logger['info'] =>
    (message, fields) => {
      const context = tracer.context()
      log[level](message, context === null ? fields : { ...fields, trace_id: context.traceId, span_id: context.spanId })
    }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}
