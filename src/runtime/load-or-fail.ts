import { isPython } from '../definition/python-words.ts'
import { FabraError } from '../errors.ts'
import type { LoadedFrame } from './frames.ts'
import type { GuestWorker } from './guest-worker.ts'
import { fileProblem } from './load-problem.ts'

/** Waits for a worker's definitions. Top-level code that does not end, or that ends the worker, is a problem of the file. */
export async function loadOrFail(
  worker: GuestWorker,
  options: { readonly files: readonly string[]; readonly loadTimeoutMs: number },
): Promise<LoadedFrame> {
  const late = Promise.withResolvers<null>()
  const deadline = setTimeout(late.resolve, options.loadTimeoutMs, null)
  try {
    const loaded = await Promise.race([worker.loaded, late.promise])
    if (loaded !== null) return loaded
    const place = await worker.placeInFiles()
    const where = place === null ? '' : `; it was at ${place}`
    return failed(options.files, `its top-level code did not finish within ${options.loadTimeoutMs / 1000} s${where}.`)
  } catch (error) {
    if (error instanceof FabraError) return failed(options.files, error.message, error.hint ?? '')
    const place = options.files.some(isPython) ? 'process' : 'thread'
    return failed(options.files, `loading it ended the ${place}: ${error instanceof Error ? error.message : String(error)}.`)
  } finally {
    clearTimeout(deadline)
  }
}

const HINT = 'Move slow, endless or process-ending work out of the top level, into a function.'

function failed(files: readonly string[], message: string, hint = HINT): LoadedFrame {
  const problems = files.slice(0, 1).map((file) => fileProblem(file, message, hint))
  return { t: 'loaded', drafts: [], exported: [], problems, files }
}
