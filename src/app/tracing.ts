import packageJson from '../../package.json'
import type { TracingSettings } from '../config/tracing-settings.ts'
import type { Logger } from '../observability/logger.ts'
import { tracedLogger } from '../observability/traced.ts'
import type { Tracer } from '../observability/tracer.ts'

/** What makes traces, and a log whose lines name them; OpenTelemetry is loaded here, and only where traces are asked for. */
export async function openTracing(
  settings: TracingSettings | null,
  log: Logger,
): Promise<{ readonly tracer: Tracer | null; readonly log: Logger }> {
  if (settings === null) return { tracer: null, log }
  const { openTracer } = await import('../observability/open-telemetry.ts')
  const tracer = await openTracer({ ...settings, version: packageJson.version, log })
  return { tracer, log: tracedLogger(tracer, log) }
}
