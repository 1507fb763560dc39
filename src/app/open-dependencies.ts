import { dirname } from 'node:path'
import type { Micros } from '../clock.ts'
import type { Tracer } from '../observability/tracer.ts'
import { createActiveKeys } from '../refresh/active-keys.ts'
import type { Runs } from '../refresh/runs.ts'
import { createSchedule } from '../refresh/schedule.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { createRecorder } from '../store/recording/recorder.ts'
import type { LiveDefinitionsDependencies } from './live-definitions.ts'
import { recalledFrom } from './recalled-store.ts'
import type { Stores } from './stores.ts'
import { createComputationTraces } from './traced-parts.ts'

interface DependenciesOptions extends Pick<LiveDefinitionsDependencies, 'clock' | 'log' | 'requestTimeoutMs'> {
  readonly files: readonly string[]
  /** How long rows of sources stay; null: for ever. */
  readonly rowsKeep: Micros | null
  readonly tracer?: Tracer | null
}

/** What lives as long as the process, over open stores. */
export async function openDependencies(
  options: DependenciesOptions,
  runtime: Runtime,
  stores: Stores,
  runs: Runs,
): Promise<LiveDefinitionsDependencies> {
  const { clock, log, requestTimeoutMs } = options
  const tracing = options.tracer ? createComputationTraces(options.tracer, dirname(options.files[0] ?? '.')) : null
  const { sourceEngine, offline, rowsRemoval } = stores
  const recalled = recalledFrom(stores)
  const online = recalled ?? stores.online
  const recorder = await createRecorder({ online, offline, clock, onProblem: (message, error) => log.error(message, { error }) })
  const removed = { keptSince: stores.historyRemoval.keptSince, rowsRemoval, rowsKeep: options.rowsKeep }
  const shared = { runtime, sourceEngine, offline, online, recalled, recorder, clock, log, requestTimeoutMs, tracing }
  const across = { claims: stores.claims, seenSources: stores.seenSources }
  const activeKeys = createActiveKeys(clock, { collect: stores.activeKeys !== null })
  return { ...shared, ...removed, ...across, activeKeys, schedule: createSchedule(), runs }
}
