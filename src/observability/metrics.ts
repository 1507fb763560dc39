/** One number that is told to whoever watches, in Prometheus' terms. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly Sample[]
}

interface Sample {
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

/** @param counts Between the edges, of which the first is 0 and what lies beyond the last counts too. */
export function histogramSamples(edges: readonly number[], counts: readonly number[], sum: number): Sample[] {
  let below = 0
  const buckets = counts.map((count, i) => {
    below += count
    const edge = i === counts.length - 1 ? '+Inf' : String(edges[i + 1])
    return { suffix: '_bucket', labels: { le: edge }, value: below }
  })
  return [...buckets, { suffix: '_sum', value: sum }, { suffix: '_count', value: below }]
}

/** Prometheus' text format, 0.0.4. */
export function metricsText(metrics: readonly Metric[]): string {
  return metrics
    .flatMap(({ name, help, type, samples }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples.map(({ suffix = '', labels = {}, value }) => `${name}${suffix}${labelText(labels)} ${value}`),
    ])
    .map((line) => `${line}\n`)
    .join('')
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`)
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

function escaped(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`
}
