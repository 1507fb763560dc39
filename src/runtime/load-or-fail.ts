import type { Problem, Registry } from '../definition/model.ts'
import { CannotStart } from './cannot-start.ts'
import type { GuestWorker } from './guest-worker.ts'
import { fileProblem } from './load-problem.ts'

/** The registry before anything is loaded, and when loading failed. */
export const NO_DEFINITIONS: Registry = { entities: new Map(), sources: new Map(), features: new Map(), featureSets: new Map() }

export interface LoadResult {
  readonly registry: Registry
  readonly problems: readonly Problem[]
  readonly files: readonly string[]
}

/** Waits for a worker's definitions. Top-level code that does not end, or that ends the thread, is a problem of the file. */
export async function loadOrFail(
  worker: GuestWorker,
  options: { readonly files: readonly string[]; readonly loadTimeoutMs: number },
): Promise<LoadResult> {
  const late = Promise.withResolvers<null>()
  const deadline = setTimeout(late.resolve, options.loadTimeoutMs, null)
  try {
    const loaded = await Promise.race([worker.loaded, late.promise])
    return loaded ?? failed(options.files, `its top-level code did not finish within ${options.loadTimeoutMs / 1000} s.`)
  } catch (error) {
    if (error instanceof CannotStart) return failed(options.files, error.message, error.hint)
    return failed(options.files, `loading it ended the thread: ${error instanceof Error ? error.message : String(error)}.`)
  } finally {
    clearTimeout(deadline)
  }
}

const MOVE = 'Move slow, endless or process-ending work out of the top level, into a function.'

function failed(files: readonly string[], message: string, hint = MOVE): LoadResult {
  return { registry: NO_DEFINITIONS, problems: files.slice(0, 1).map((file) => fileProblem(file, message, hint)), files }
}
