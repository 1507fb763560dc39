/** Definitions without stores: what they declare, and whether their functions find what they read. */
import { systemClock } from '../clock.ts'
import type { FunctionRunner } from '../compute/function-runner.ts'
import type { PythonSettings } from '../config/python-settings.ts'
import { baseType } from '../definition/declared-type.ts'
import type { Feature, KeyType, Registry, SourceLocation, ValueType } from '../definition/model.ts'
import { createRuntime } from '../runtime/runtime.ts'
import { listFiles } from '../store/ports/source-file-list.ts'

/** @returns each source with its files, absolute; none where the definitions do not load: checking them tells why. */
export async function declaredSources(
  files: readonly string[],
  python?: PythonSettings,
): Promise<{ name: string; files: readonly string[] }[]> {
  const runtime = createRuntime({ files, workers: 1, python, log: () => undefined })
  try {
    const loaded = await runtime.load()
    loaded.discard()
    return [...loaded.registry.sources.values()].flatMap(({ name, file }) =>
      file === null ? [] : [{ name, files: listFiles(file).files.map((one) => one.path) }],
    )
  } finally {
    await runtime.close()
  }
}

export interface MissingFile {
  readonly feature: string
  readonly location: SourceLocation | null
  /** What the function's code was told, in one line. */
  readonly message: string
}

/** For one function. What a function does with the world is its own matter, and it may wait for a network that is not there. */
const LONGEST_MS = 5_000
const AT_ONCE = 8
const MISSING =
  /\bENOENT\b|no such file or directory|Cannot find (module|package)|ModuleNotFound|Could not resolve|SQLITE_CANTOPEN|unable to open database/i

/**
 * Calls each function once, with a key that nobody has, and a database that knows nothing. What a function makes of that does not matter here:
 * only what it says about files that it looked for and did not find.
 */
export async function missingFiles(files: readonly string[], python?: PythonSettings): Promise<MissingFile[]> {
  const runtime = createRuntime({ files, python, log: () => undefined })
  try {
    const { registry, activate } = await runtime.load()
    activate()
    const waiting = [...registry.features.values()].filter((feature) => feature.computation.kind === 'function').entries()
    const found: [number, MissingFile][] = []
    const worker = async () => {
      for (const [i, feature] of waiting) {
        const thrown = await tryOnce(runtime, registry, feature)
        if (thrown !== null && MISSING.test(thrown)) {
          found.push([i, { feature: feature.name, location: feature.location, message: thrown.split('\n', 1)[0] ?? '' }])
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    return found.sort(([a], [b]) => a - b).map(([, missing]) => missing)
  } finally {
    await runtime.close()
  }
}

/** @returns what it threw. */
async function tryOnce(runtime: FunctionRunner, registry: Registry, feature: Feature): Promise<string | null> {
  const columns = registry.entities.get(feature.entity)?.key ?? []
  const inputs = Object.entries(feature.inputs)
  const { error } = await runtime.call({
    feature: feature.name,
    fingerprint: feature.fingerprint,
    key: columns.map((column) => SAMPLE_KEYS[column.type]),
    inputs: inputs.length === 0 ? null : Object.fromEntries(inputs.map(([name, type]) => [name, SAMPLES[baseType(type)]])),
    asOf: systemClock().now(),
    mode: 'present',
    deadlineAt: performance.now() + LONGEST_MS,
    signal: AbortSignal.timeout(LONGEST_MS),
    host: {
      query: async () => ({ columns: [], rows: [] }),
      get: async () => ({ text: undefined, eventAt: null }),
    },
  })
  return error?.thrown ?? null
}

const SAMPLE_KEYS: Readonly<Record<KeyType, string>> = { string: 'u1', int: '1', uuid: '00000000-0000-4000-8000-000000000001' }
const SAMPLES: Readonly<Record<ValueType, unknown>> = {
  int: 1,
  float: 1,
  string: 'a',
  bool: true,
  timestamp: '2026-01-01T00:00:00.000000Z',
  list: [],
  dict: {},
  json: {},
}
