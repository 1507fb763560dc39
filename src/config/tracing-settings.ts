/** Where traces go, by OpenTelemetry's standard variables. */

/** Traces are made: somebody said where to. */
export interface TracingSettings {
  /** Of the collector, with its path. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly protocol: (typeof PROTOCOLS)[number]
  /** Longest wait for the collector. */
  readonly timeoutMs: number
  /** Between two times that spans are sent. */
  readonly delayMs: number
  /** What they are spans of: its name and whatever else is told of it. */
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: (typeof SAMPLERS)[number]
  /** Of the traces that a sampler by ratio takes. */
  readonly ratio: number
}

/** As `--help` and docs/environment.md tell them; of those that are for traces alone OpenTelemetry's own documentation tells. */
export const tracingVariables = [
  {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    default: 'none',
    help: 'collector of OpenTelemetry that traces are sent to, such as http://localhost:4318; none: nothing is traced',
  },
  { name: 'OTEL_EXPORTER_OTLP_HEADERS', default: 'none', help: 'what it is shown: name=value, with commas between' },
  { name: 'OTEL_EXPORTER_OTLP_PROTOCOL', default: 'http/protobuf', help: 'http/protobuf or http/json' },
  { name: 'OTEL_EXPORTER_OTLP_TIMEOUT', default: '10000', help: 'longest wait for it, in milliseconds' },
  { name: 'OTEL_SERVICE_NAME', default: 'fabra', help: 'what the server is called in traces' },
  { name: 'OTEL_RESOURCE_ATTRIBUTES', default: 'none', help: 'what else is told of it there: name=value, with commas between' },
  {
    name: 'OTEL_TRACES_SAMPLER',
    default: 'parentbased_always_on',
    help: 'which requests are traced: always_on, always_off or traceidratio; with parentbased_ before it only those whose caller says nothing',
  },
  { name: 'OTEL_TRACES_SAMPLER_ARG', default: '1', help: 'the share of them that traceidratio takes, from 0 to 1' },
  { name: 'OTEL_BSP_SCHEDULE_DELAY', default: '5000', help: 'milliseconds between two times that spans are sent' },
  { name: 'OTEL_TRACES_EXPORTER', default: 'otlp', help: 'none: nothing is traced' },
  { name: 'OTEL_SDK_DISABLED', default: 'false', help: 'true: nothing is traced' },
] as const

const PROTOCOLS = ['http/protobuf', 'http/json'] as const
const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const
const MOST_MS = 600_000

/** What readConfig has for reading one variable; each adds what is wrong to the problems. */
export interface VariableReader {
  text(name: string): string | undefined
  choice<T extends string>(name: string, allowed: readonly T[], fallback: T): T
  whole(name: string, fallback: number, highest: number): number
}

/** @returns null where no traces are asked for. */
export function tracingSettings({ text, choice, whole }: VariableReader, problems: string[]): TracingSettings | null {
  const url = tracesUrl(text, problems)
  if (url === null || text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || text('OTEL_TRACES_EXPORTER') === 'none') return null
  const own = (name: string) => {
    const narrow = `OTEL_EXPORTER_OTLP_TRACES_${name}`
    return text(narrow) === undefined ? `OTEL_EXPORTER_OTLP_${name}` : narrow
  }
  const pairs = (name: string) => pairsOf(text(name), name, problems)
  return {
    url,
    headers: { ...pairs('OTEL_EXPORTER_OTLP_HEADERS'), ...pairs('OTEL_EXPORTER_OTLP_TRACES_HEADERS') },
    protocol: choice(own('PROTOCOL'), PROTOCOLS, 'http/protobuf'),
    timeoutMs: whole(own('TIMEOUT'), 10_000, MOST_MS),
    delayMs: whole('OTEL_BSP_SCHEDULE_DELAY', 5_000, MOST_MS),
    resource: {
      'service.name': 'fabra',
      ...pairs('OTEL_RESOURCE_ATTRIBUTES'),
      ...(text('OTEL_SERVICE_NAME') === undefined ? {} : { 'service.name': text('OTEL_SERVICE_NAME') ?? '' }),
    },
    sampler: choice('OTEL_TRACES_SAMPLER', SAMPLERS, 'parentbased_always_on'),
    ratio: ratioOf(text('OTEL_TRACES_SAMPLER_ARG'), problems),
  }
}

/** An address of the traces alone is the whole of it; that of all signals is what theirs begin with. */
function tracesUrl(text: VariableReader['text'], problems: string[]): string | null {
  const narrow = text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const given = narrow ?? text('OTEL_EXPORTER_OTLP_ENDPOINT')
  if (given === undefined) return null
  const url = URL.parse(given)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const name = narrow === undefined ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
    problems.push(`${name} is not an http:// or https:// address, such as http://localhost:4318.`)
    return null
  }
  if (narrow !== undefined) return url.href
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}

/** `name=value,other=value`, percent-encoded, as W3C's baggage is written. What stands there may be a secret: it is not repeated. */
function pairsOf(list: string | undefined, name: string, problems: string[]): Record<string, string> {
  const parts = (list ?? '').split(',').filter((part) => part.trim() !== '')
  const found = parts.flatMap((part): [string, string][] => {
    const at = part.indexOf('=')
    const key = part.slice(0, Math.max(0, at)).trim()
    const value = decoded(part.slice(at + 1).trim())
    if (/^[^\s:,;="()<>@\\/[\]?{}]+$/.test(key) && value !== null) return [[key, value]]
    problems.push(`${name} is not a list such as name=value,other=value, with % before what is special.`)
    return []
  })
  return Object.fromEntries(found)
}

/** A value that no header may hold is none. */
function decoded(text: string): string | null {
  try {
    const value = decodeURIComponent(text)
    return /^[ -~\u0080-\uffff]*$/.test(value) ? value : null
  } catch {
    return null
  }
}

function ratioOf(text: string | undefined, problems: string[]): number {
  if (text === undefined) return 1
  const ratio = Number(text)
  if (/^\d*\.?\d+$/.test(text.trim()) && ratio <= 1) return ratio
  problems.push(`OTEL_TRACES_SAMPLER_ARG="${text}" is not a number from 0 to 1.`)
  return 1
}
