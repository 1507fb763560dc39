import { createRuntime, type LoadedDefinitions, type Runtime, type RuntimeOptions } from '../runtime/runtime.ts'

/**
 * A runtime whose first load has already begun: a thread reads the users' files while this one goes on loading the rest of the program. The
 * first call of `load` is given that one.
 */
export function beginRuntime(options: RuntimeOptions): Runtime {
  const runtime = createRuntime(options)
  let begun: Promise<LoadedDefinitions> | undefined = runtime.load()
  begun.catch(() => undefined)
  return {
    ...runtime,
    load() {
      const loading = begun ?? runtime.load()
      begun = undefined
      return loading
    },
  }
}
