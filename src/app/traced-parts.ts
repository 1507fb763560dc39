/**
 * What is told in traces, and of what it is a part: request → store → compute → query or function. A value that several requests wait for is
 * computed once: the work is a part of the first of them and names the others, and each request has its own `wait for`.
 *
 * Of features it is told what they are called and where they stand, of keys only how many there are.
 */
import { relative } from 'node:path'
import type { Executor } from '../compute/executor.ts'
import type { CallHost } from '../compute/function-runner.ts'
import type { Computations } from '../compute/single-flight/computations.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { isPython } from '../definition/python-words.ts'
import { traced } from '../observability/traced.ts'
import type { Span, SpanFacts, Tracer, Work } from '../observability/tracer.ts'
import type { Refresher } from '../refresh/refresher.ts'
import { hasFailed } from '../refresh/runs.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import type { Stores } from './stores.ts'

/** Rows looked at for who waits for them, and for how many failed. */
const MOST_LOOKED_AT = 1_000

export function tracedStores(tracer: Tracer, stores: Stores): Stores {
  const { sourceEngine, online, offline, historyIn } = stores
  const query = {
    name: `${sourceEngine.dialect} query`,
    kind: 'client',
    facts: { 'db.system.name': sourceEngine.dialect === 'postgres' ? 'postgresql' : 'duckdb', 'db.operation.name': 'SELECT' },
  } as const
  const history = {
    name: `${historyIn} history`,
    kind: 'client',
    facts: { 'db.system.name': historyIn === 'postgres' ? 'postgresql' : historyIn, 'db.operation.name': 'read' },
  } as const
  return {
    ...stores,
    sourceEngine: traced(tracer, sourceEngine, { query: () => query, queryInto: () => query, queryOver: () => query }),
    online: tracedOnline(tracer, online),
    offline: traced(tracer, offline, { history: () => history, historyOfKey: () => history }),
  }
}

function tracedOnline(tracer: Tracer, online: OnlineStore): OnlineStore {
  const system = online.isShared ? 'redis' : 'memory'
  const kind = online.isShared ? 'client' : 'internal'
  return traced(tracer, online, {
    read: (entity, keys, fields) => ({
      name: `${system} read`,
      kind,
      facts: {
        'db.system.name': system,
        'db.operation.name': 'read',
        'fabra.entity': entity,
        'fabra.keys': keys.length,
        'fabra.fields': fields.length,
      },
    }),
    write: (rows) => ({
      name: `${system} write`,
      kind,
      facts: { 'db.system.name': system, 'db.operation.name': 'write', 'fabra.values': rows.length },
    }),
  })
}

/** What a function asks for while it runs comes from its worker, outside of every request: it goes on where the call was. */
export function tracedRuntime(tracer: Tracer, runtime: Runtime): Runtime {
  const within = (host: CallHost): CallHost => {
    const work = tracer.current()
    if (work === null) return host
    return {
      query: (sql, parameters, form) => tracer.within(work, () => host.query(sql, parameters, form)),
      get: (name) => tracer.within(work, () => host.get(name)),
    }
  }
  return {
    ...runtime,
    call: (call) =>
      tracer.part({ name: `function ${call.feature}`, facts: { 'fabra.keys': 1 } }, async (span) => {
        const outcome = await runtime.call({ ...call, host: within(call.host) })
        if (outcome.error) span?.fail(outcome.error.code)
        return outcome
      }),
    callBatch: (call) =>
      tracer.part({ name: `function ${call.feature}`, facts: { 'fabra.keys': call.keys.length } }, async (span) => {
        const outcome = await runtime.callBatch({ ...call, host: within(call.host) })
        if (outcome.error) span?.fail(outcome.error.code)
        return outcome
      }),
  }
}

/** Traces of one feature store's computations. */
export interface ComputationTraces {
  computations(own: Computations): Computations
  executor(own: Executor): Executor
  refresher(own: Refresher): Refresher
}

/** @param folder Of the project: places are told from there. */
export function createComputationTraces(tracer: Tracer, folder: string): ComputationTraces {
  /** Who waits for a key to be computed. A key is one object from the request to the row that is computed. */
  const waiting = new WeakMap<EntityKey, Map<Feature, Work>>()
  const factsOf = ({ name, location, computation }: Feature): SpanFacts => ({
    'fabra.feature': name,
    'fabra.feature.kind': computation.kind,
    ...(computation.kind === 'function' && location ? { 'fabra.language': isPython(location.file) ? 'python' : 'typescript' } : {}),
    ...(location ? { 'code.file.path': relative(folder, location.file), 'code.line.number': location.line } : {}),
  })
  const waitingFor = (feature: Feature, key: EntityKey | undefined) => (key === undefined ? undefined : waiting.get(key)?.get(feature))

  return {
    computations: (own) => ({
      ...own,
      compute: (call) =>
        tracer.part({ name: `wait for ${call.feature.name}`, facts: { 'fabra.feature': call.feature.name } }, () => {
          const { feature, key } = call
          const work = tracer.current()
          if (work === null) return own.compute(call)
          const works = waiting.get(key) ?? new Map<Feature, Work>()
          waiting.set(key, works.set(feature, work))
          const over = () => {
            if (works.get(feature) === work) works.delete(feature)
          }
          const outcome = own.compute(call)
          if (outcome instanceof Promise) outcome.then(over, over)
          else over()
          return outcome
        }),
    }),
    executor: (own) => ({
      compute(feature, rows, options) {
        const asked = new Set<Work>()
        for (let row = 0; row < Math.min(rows.length, MOST_LOOKED_AT); row++) {
          const work = waitingFor(feature, rows.at(row)?.key)
          if (work !== undefined) asked.add(work)
        }
        // Who is not traced must not hide the others.
        const [first, ...others] = [...asked].sort((a, b) => Number(b.isTraced) - Number(a.isTraced))
        const compute = () => computed(tracer, factsOf(feature), others, () => own.compute(feature, rows, options), rows.length)
        return first === undefined ? compute() : tracer.within(first, compute)
      },
    }),
    refresher: (own) => ({
      ...own,
      run(feature, keys, options) {
        const start = { name: `refresh ${feature.name}`, facts: { ...factsOf(feature), 'fabra.keys': keys.length } }
        const run = async (span: Span | null) => {
          const ended = await own.run(feature, keys, options)
          span?.tell({ 'fabra.refresh.reason': ended.reason, 'fabra.keys.failed': ended.failed })
          if (hasFailed(ended)) span?.fail('refresh_failed')
          return ended
        }
        // Of others, whatever was under way when their time came is over.
        return options.reason === 'request' ? tracer.part(start, run) : tracer.root(start, run)
      },
    }),
  }
}

function computed(
  tracer: Tracer,
  facts: SpanFacts,
  askedToo: readonly Work[],
  compute: () => ReturnType<Executor['compute']>,
  rows: number,
) {
  const start = { name: `compute ${facts['fabra.feature']}`, facts: { 'fabra.keys': rows }, passedOn: facts }
  return tracer.part(
    start,
    async (span) => {
      const answers = await compute()
      if (span === null || rows > MOST_LOOKED_AT) return answers
      let failed = 0
      let code = ''
      for (let row = 0; row < rows; row++) {
        const answer = answers.at(row)
        if (answer?.kind !== 'error') continue
        code = answer.error.code
        failed++
      }
      if (failed > 0) span.tell({ 'fabra.keys.failed': failed })
      if (failed === rows && rows > 0) span.fail(code)
      return answers
    },
    askedToo,
  )
}
