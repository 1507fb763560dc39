// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const ONE = 'test/http/serving-features.test.ts'
const MANY = 'test/http/serving-batches.test.ts'
const FEATURES = 'src/http/routes/features.ts'

/** What goes over the wire, and user code that must not stop the house. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: ONE, file: FEATURES },
    {
      'a failure is a 200': ['  if (error) throw error\n  return new Response', '  return new Response'],
      'an unknown age goes out as 0': ['${result.freshnessMs[0] ?? null}', '${result.freshnessMs[0] ?? 0}'],
      'the oldest input does not go out': ["oldest === null ? '' :", "oldest !== null ? '' :"],
      'ages are bounded for nobody': ['serving.engine.read(plan, [row], { maxAge })', 'serving.engine.read(plan, [row], { maxAge: null })'],
    },
  ),
  ...mistakes(
    { suite: ONE, file: 'src/http/direct-routes.ts' },
    {
      'a failure is told by Bun': ['response instanceof Promise ? response.catch((error) => tell(error, request)) : response', 'response'],
    },
  ),
  ...mistakes(
    { suite: 'test/http/auth.test.ts', file: 'src/http/direct-routes.ts' },
    { 'features are read without a key': ['keyring ? authorise(keyring, request) : undefined', 'undefined as Promise<void> | undefined'] },
  ),
  ...mistakes(
    { suite: 'test/http/feature-lists.test.ts', file: 'src/http/feature-lists.ts' },
    { 'of two lists of features the first counts': ["|| Object.hasOwn(rest, 'features')", ''] },
  ),
  ...mistakes(
    { suite: ONE, file: 'src/serving/serving.ts' },
    {
      'columns go out one by one': ["if (!plan.asObject) return values[0] ?? 'null'", "if (plan) return values[0] ?? 'null'"],
      'a missing value goes out as an object': ["if (missing) return 'null'\n", ''],
      'a list of names is mistaken for another': ['if (known?.count === names.length) return known.plan', 'if (known) return known.plan'],
    },
  ),
  ...mistakes(
    { suite: MANY, file: FEATURES },
    {
      'a failure is explained with another row': ['errors.push({ row: r,', 'errors.push({ row: 0,'],
      'failures are not explained': ["errors.length === 0 ? '' :", "errors.length >= 0 ? '' :"],
      'max_age of a body is ignored': ['serving.engine.read(plan, rows, { maxAge })', 'serving.engine.read(plan, rows, { maxAge: null })'],
      'any number of rows is taken': ['const MAX_ROWS = 10_000', 'const MAX_ROWS = 10_000_000'],
      'a wrong row does not say which it is': ['`Row ${i}: ${error.message}`', 'error.message'],
    },
  ),
  ...mistakes(
    { suite: 'test/runtime/functions.test.ts', file: 'src/runtime/pool.ts' },
    { 'a function has no deadline': ['now < flight.deadlineAt && !flight.signal.aborted', '!flight.signal.aborted'] },
  ),
  ...mistakes(
    { suite: 'test/runtime/functions.test.ts', file: 'src/runtime/frames.ts' },
    { 'inputs beyond 2^53 do not reach the function': ["(frame.t === 'call' && frame.inputs === null)", "frame.t === 'call'"] },
  ),
  ...mistakes(
    { suite: 'test/runtime/blocking.test.ts', file: 'src/runtime/pool.ts' },
    {
      'calls stay with a blocked thread': [
        '    if (culprit && silentMs >= SUSPECT_AFTER_MS) suspects.accuse(culprit.frame.feature)\n    resend(worker)\n',
        '',
      ],
    },
  ),
  ...mistakes(
    { suite: 'test/cli/collector.test.ts', file: 'src/cli/collector.ts' },
    {
      'a server begins again and again': ['!isProduction || isTuned', '!isProduction'],
      'a laptop begins twice': ['!isServer || !isProduction', '!isServer'],
      'every command begins twice': ['if (!isServer || ', 'if ('],
      'what the user set is overwritten': ['{ ...SETTINGS, ...env }', '{ ...env, ...SETTINGS }'],
      'a system that refuses stops the server': ['} catch {', '} catch (error) {\n    throw error'],
    },
  ),
]
