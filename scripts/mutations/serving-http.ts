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
      'ages are bounded for nobody': [
        'const { row, maxAge } = rowFromQuery(plan, call.request)',
        'const row = rowFromQuery(plan, call.request).row\n  const maxAge = null',
      ],
    },
  ),
  ...mistakes(
    { suite: ONE, file: 'src/http/value-json.ts' },
    {
      'an unknown age goes out as 0': ['${result.freshnessMs[0] ?? null}', '${result.freshnessMs[0] ?? 0}'],
      'the oldest input does not go out': ["oldest === null ? '' :", "oldest !== null ? '' :"],
    },
  ),
  ...mistakes(
    { suite: ONE, file: 'src/http/door.ts' },
    {
      'a failure is told by Bun': [
        'response instanceof Promise ? response.catch((error) => fail(error, request, params, call, begun)) : response',
        'response',
      ],
    },
  ),
  ...mistakes(
    { suite: 'test/http/door.test.ts', file: 'src/http/door.ts' },
    {
      'no key is asked for': ["keyring === null || scope === 'open' ? null", 'keyring !== undefined ? null'],
      'any key will do': ['authorise(keyring, request, scope)', "authorise(keyring, request, 'any')"],
      'any Host will do': ['if (!route.anyHost) hosts.admit(request)', ''],
    },
  ),
  ...mistakes(
    { suite: 'test/http/hosts.test.ts', file: 'src/http/door.ts' },
    {
      'any page may change anything': [
        "if (method === 'any' ? !LOOKS.includes(request.method) : method !== 'GET') hosts.admitChange(request)",
        '',
      ],
      'probes need a name': ['if (!route.anyHost) hosts', 'hosts'],
    },
  ),
  ...mistakes(
    { suite: 'test/http/hosts.test.ts', file: 'src/http/hosts.ts' },
    {
      'any name will do without keys': ['const takesAny = asksForKeys &&', 'const takesAny = !asksForKeys ||'],
      'an Origin that is none is ours': ['if (!name) return true', 'if (!name) return false'],
      'pages may send any type': ['if (!hasBody || ASKED_FIRST.test(type)) return', 'if (type !== undefined) return'],
    },
  ),
  ...mistakes(
    { suite: 'test/http/real-server.test.ts', file: 'src/http/routes/training.ts' },
    { 'a query for labels needs no more than read': ['if (training.labelsSql !== null) call.demandFurther()', ''] },
  ),
  ...mistakes(
    { suite: 'test/http/real-server.test.ts', file: 'src/http/body.ts' },
    {
      'bytes that are no UTF-8 become others': ["new TextDecoder('utf-8', { fatal: true })", "new TextDecoder('utf-8')"],
      'a client that hangs up is a failure of the server': [
        "throw new FabraError('bad_request', 'The body ended before it was whole.', { cause,",
        "throw new FabraError('internal', 'x', { cause,",
      ],
    },
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
    { suite: MANY, file: 'src/http/batch-answer.ts' },
    {
      'a failure is explained with another row': ['errors.push({ row, feature', 'errors.push({ row: 0, feature'],
      'failures are not explained': ["errors.length === 0 ? '' :", "errors.length >= 0 ? '' :"],
    },
  ),
  ...mistakes(
    { suite: MANY, file: FEATURES },
    {
      'max_age of a body is ignored': ['serving.engine.read(plan, rows, { maxAge })', 'serving.engine.read(plan, rows, { maxAge: null })'],
      'any number of rows is taken': ['const MAX_ROWS = 10_000', 'const MAX_ROWS = 10_000_000'],
      'a wrong row does not say which it is': ['`Row ${i}: ${error.message}`', 'error.message'],
    },
  ),
  ...mistakes(
    { suite: 'test/runtime/functions.test.ts', file: 'src/runtime/pool-watch.ts' },
    { 'a function has no deadline': ['overAt >= call.deadlineAt || call.signal.aborted', 'call.signal.aborted'] },
  ),
  ...mistakes(
    { suite: 'test/runtime/functions.test.ts', file: 'src/runtime/frames.ts' },
    { 'inputs beyond 2^53 do not reach the function': ["(frame.t === 'call' && frame.inputs === null)", "frame.t === 'call'"] },
  ),
  ...mistakes(
    { suite: 'test/runtime/backlog.test.ts', file: 'src/runtime/backlog.ts' },
    {
      'a crowd is taken for a slow function': ['(waitedMost || !worker.hasBegun(call))', '!worker.hasBegun(call)'],
      'no time is left for the way of an answer': ['call.deadlineAt - now - keptMs', 'call.deadlineAt - now'],
    },
  ),
  ...mistakes(
    { suite: 'test/runtime/guest.test.ts', file: 'src/runtime/guest.ts' },
    { 'what is computed waits for what came with it': ['if (nowMs() - since < TURN_MS) continue', 'if (since >= 0) continue'] },
  ),
  ...mistakes(
    { suite: 'test/compute/known-keys.test.ts', file: 'src/compute/sql/known-keys.ts' },
    { 'each number of keys has a text of its own': ['2 ** Math.ceil(Math.log2(keys.length))', 'keys.length'] },
  ),
  ...mistakes(
    { suite: 'test/runtime/blocking.test.ts', file: 'src/runtime/pool-watch.ts' },
    {
      'calls stay with a blocked thread': [
        "    if (culprit && silentMs >= worker.watched.suspectAfterMs) suspects.accuse(culprit.frame.feature, 'blocks')\n    rescue.fromStalled(worker, silentMs)\n",
        '',
      ],
    },
  ),
  ...mistakes(
    { suite: 'test/runtime/batch.test.ts', file: 'src/compute/functions/chunks.ts' },
    {
      'a function for many keys is called for one': ['chunk.rows.length >= most', 'chunk.rows.length >= 1'],
      'a function gets any number of keys': ['chunk === undefined || chunk.rows.length >= most', 'chunk === undefined'],
      'rows of other times go together': ['open.get(row.asOf)', 'chunks.at(-1)'],
      'answers go to other keys': ['chunk.indexes.push(i)', 'chunk.indexes.unshift(i)'],
    },
  ),
  ...mistakes(
    { suite: 'test/runtime/foreign-values.test.ts', file: 'src/runtime/foreign-values.ts' },
    { 'a text of Python is kept as it came': ['return encodeValue(type, parseExact(text))', 'return text'] },
  ),
  ...mistakes(
    { suite: 'test/cli/collector.test.ts', file: 'src/cli/serve/gc-settings.ts' },
    {
      'a server begins again and again': ['!isProduction || isTuned', '!isProduction'],
      'a laptop begins twice': ['!isServer || !isProduction', '!isServer'],
      'every command begins twice': ['if (!isServer || ', 'if ('],
      'what the user set is overwritten': ['{ ...SETTINGS, ...env }', '{ ...env, ...SETTINGS }'],
      'a system that refuses stops the server': ['} catch {', '} catch (error) {\n    throw error'],
    },
  ),
]
