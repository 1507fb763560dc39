import { expect } from 'bun:test'
import { type Bench, type BenchStores, openBench, type Served, type WrittenBench } from './bench.ts'
import { type Body, type Call, failure, hang, NO_ROW } from './programmable-executor.ts'
import {
  applyOutcome,
  type Expected,
  freshState,
  fromComputation,
  fromStore,
  type KeyState,
  type ModelFeature,
  mayCompute,
  type Outcome,
  plan,
  type Stored,
  standIn,
  write,
} from './read-path-model.ts'

const MINUTE = 60_000_000

/**
 * `held` and `now` are functions, so that each of their computations leaves at once and can be held. `hangs` has a short timeout.
 * History keeps all, except of `hangs` nothing, and of `partly` only what is pushed and what takes its place.
 */
const FEATURES = {
  held: { model: { freshFor: 5.5 * MINUTE, maxStaleness: 30 * MINUTE }, written: { kind: 'function', refresh: '5m', maxStaleness: '30m' } },
  now: { model: { realtime: true, maxStaleness: 10 * MINUTE }, written: { kind: 'function', refresh: 0, maxStaleness: '10m' } },
  quick: { model: { freshFor: 66e6, default: 'usual' }, written: { refresh: '1m', default: 'usual' } },
  hangs: { model: { freshFor: 11e6, history: 'off' }, written: { refresh: '10s', history: 'off', timeout: '1ms' } },
  partly: {
    model: { freshFor: 66e6, maxStaleness: 30 * MINUTE, history: 'unrecorded' },
    written: { refresh: '1m', maxStaleness: '30m', history: 'auto', sampled: 0 },
  },
  pushed: { model: { pushed: true, freshFor: 60 * MINUTE, maxStaleness: 60 * MINUTE }, written: { kind: 'pushed', maxStaleness: '1h' } },
} as const satisfies Record<string, { model: ModelFeature; written: WrittenBench['features'][string] }>

export type FeatureName = keyof typeof FEATURES
export const FEATURE_NAMES = Object.keys(FEATURES) as FeatureName[]
export const KEYS = ['a', 'b'] as const
export type Mode = 'value' | 'null' | 'missing' | 'error' | 'hang'

export type Action =
  | { readonly do: 'read'; readonly feature: FeatureName; readonly key: string; readonly maxAge: string | null }
  | { readonly do: 'read many'; readonly features: readonly FeatureName[]; readonly keys: readonly string[] }
  | { readonly do: 'step'; readonly by: number }
  | { readonly do: 'mode'; readonly feature: FeatureName; readonly mode: Mode }
  | { readonly do: 'push'; readonly feature: FeatureName; readonly key: string; readonly value: boolean; readonly ago: number }
  | { readonly do: 'hold' | 'release' | 'restart' | 'reload' }

interface Held {
  readonly feature: FeatureName
  readonly state: KeyState
  readonly asOf: number
  readonly waiting: { readonly answer: Promise<Served>; readonly stored: Stored | undefined; readonly maxAge: number | null }[]
  readonly end: (outcome: Outcome) => void
}

/** The real thing and the model side by side; each action is done to both and their answers are compared. */
export async function openWorld(stores: BenchStores, salt: number) {
  let version = 0
  const written = (): WrittenBench['features'] =>
    Object.fromEntries(
      FEATURE_NAMES.map((name, i) => [
        name,
        { history: 'all', ...FEATURES[name].written, fingerprint: `${salt.toString(16)}-${version}-${i}` },
      ]),
    )
  await stores.emptyOnline()
  const bench = await openBench({ features: written() }, stores)
  const states = new Map<string, KeyState>()
  const modes = new Map<FeatureName, Mode>()
  let held: Held[] = []
  let holding = false
  let started: { asOf: number; end: (outcome: Outcome) => void }[] = []
  let values = 0

  for (const name of FEATURE_NAMES) bench.programme.set(name, bodyOf(name))

  function bodyOf(name: FeatureName): Body {
    return (call: Call) => {
      if (!holding || !isHoldable(name)) return perform(outcomeOf(name, call.asOf), name, call)
      const { promise, resolve } = Promise.withResolvers<unknown>()
      started.push({ asOf: call.asOf, end: (outcome) => resolve(outcome) })
      return promise.then((outcome) => perform(outcome as Outcome, name, call))
    }
  }

  function perform(outcome: Outcome, name: FeatureName, call: Call): unknown {
    if (outcome.kind === 'value') return outcome.value
    if (outcome.kind === 'missing') return NO_ROW
    if (modes.get(name) === 'hang') return hang(call)
    throw failure('feature_failed')
  }

  /** What user code gives for a moment: one value for all keys, so that both sides know it. */
  function outcomeOf(name: FeatureName, asOf: number): Outcome {
    const mode = modes.get(name) ?? 'value'
    if (mode === 'value') return { kind: 'value', value: `${name}@${asOf}` }
    if (mode === 'null') return { kind: 'value', value: null }
    return mode === 'missing' ? { kind: 'missing' } : { kind: 'error' }
  }

  function isHoldable(name: FeatureName): boolean {
    return name === 'held' || name === 'now'
  }

  function stateOf(name: FeatureName, key: string): KeyState {
    const id = `${version}/${name}/${key}`
    let state = states.get(id)
    if (!state) {
      state = freshState()
      states.set(id, state)
    }
    return state
  }

  async function read(name: FeatureName, key: string, maxAgeText: string | null): Promise<void> {
    const maxAge = maxAgeText === null ? null : Number.parseInt(maxAgeText, 10) * 1e6
    const before = bench.programme.count(name, key)
    const begun = started.length
    const answer = bench.read(name, key, maxAgeText ?? undefined)
    // Whatever can go on must have gone on before both sides are compared; in memory, reads begin to compute at the end of the turn.
    if (holding) await bench.settle()
    else await (stores.outlives ? answer.then(() => bench.idle()) : new Promise((resolve) => setImmediate(resolve)))
    const computed = bench.programme.count(name, key) - before
    const waits = modelRead(name, key, { maxAge, computed, answer, begun: started.slice(begun) })
    if (waits === 'held') return
    check(`${name}/${key}`, await answer, waits)
    if (!holding) await bench.idle()
  }

  /** @returns the answer expected, or that it comes at release. */
  function modelRead(
    name: FeatureName,
    key: string,
    real: { maxAge: number | null; computed: number; answer: Promise<Served>; begun: typeof started },
  ): Expected | 'held' {
    const feature: ModelFeature = FEATURES[name].model
    const state = stateOf(name, key)
    const now = bench.clock.now()
    const { maxAge, computed } = real
    const { stored } = state
    const what = plan(feature, state, now, maxAge)
    if (what === 'nothing') return standIn(feature)
    if (what === 'store') {
      expect(computed).toBe(0)
      return stored ? fromStore(feature, stored, now, maxAge) : standIn(feature)
    }
    const running = feature.realtime ? undefined : held.find((one) => one.state === state)
    const waiting = { answer: real.answer, stored, maxAge }
    const shown = what === 'store and compute' && stored ? fromStore(feature, stored, now, maxAge) : undefined
    if (running) {
      expect(computed).toBe(0)
      if (shown) return shown
      running.waiting.push(waiting)
      return 'held'
    }
    const may = mayCompute(state, now)
    if (may !== 'either') expect(computed).toBe(may === 'yes' ? 1 : 0)
    if (computed === 0) return shown ?? fromComputation(feature, stored, { kind: 'error' }, { asOf: now, now, maxAge })
    expect(computed).toBe(1)
    const [computation] = real.begun
    if (computation) {
      held.push({ feature: name, state, asOf: now, waiting: shown ? [] : [waiting], end: computation.end })
      return shown ?? 'held'
    }
    const outcome = outcomeOf(name, now)
    applyOutcome(feature, state, outcome, now, now)
    return shown ?? fromComputation(feature, stored, outcome, { asOf: now, now, maxAge })
  }

  async function readMany(names: readonly FeatureName[], keys: readonly string[]): Promise<void> {
    if (holding) return
    const before = names.map((name) => keys.map((key) => bench.programme.count(name, key)))
    const rows = await bench.readRows(
      names,
      keys.map((user_id) => ({ user_id })),
    )
    await bench.idle()
    const known = new Map<string, Expected>()
    names.forEach((name, f) => {
      keys.forEach((key, k) => {
        const computed = bench.programme.count(name, key) - (before[f]?.[k] ?? 0)
        const id = `${name}/${key}`
        const served = rows[k]?.[f]
        if (!served) throw new Error('no answer')
        if (!known.has(id)) {
          const answer = Promise.resolve(served)
          const expected = modelRead(name, key, { maxAge: null, computed, answer, begun: [] })
          if (expected === 'held') throw new Error('nothing is held')
          known.set(id, expected)
        }
        check(id, served, known.get(id) as Expected)
      })
    })
  }

  async function release(): Promise<void> {
    holding = false
    const computations = held
    held = []
    started = []
    const now = bench.clock.now()
    for (const computation of computations) computation.end(outcomeOf(computation.feature, computation.asOf))
    for (const { feature: name, state, asOf, waiting } of computations) {
      const feature: ModelFeature = FEATURES[name].model
      const outcome = outcomeOf(name, asOf)
      applyOutcome(feature, state, outcome, asOf, now)
      for (const { answer, stored, maxAge } of waiting) {
        check(`${name} held`, await answer, fromComputation(feature, stored, outcome, { asOf, now, maxAge }))
      }
    }
    await bench.idle()
  }

  async function push(name: FeatureName, key: string, hasValue: boolean, ago: number): Promise<void> {
    const eventAt = bench.clock.now() - ago
    const value = hasValue ? `pushed ${++values}` : undefined
    await bench.push(name, key, value, eventAt)
    write(FEATURES[name].model, stateOf(name, key), { value, eventAt }, true)
  }

  async function restart(): Promise<void> {
    await release()
    await bench.restart()
    for (const [id, state] of states) {
      const isServed = id.startsWith(`${version}/`)
      const stored = stores.outlives ? state.stored : isServed ? state.recorded : undefined
      states.set(id, { ...freshState(), stored, recorded: state.recorded, newestRow: state.newestRow })
    }
  }

  async function reload(): Promise<void> {
    await release()
    await bench.parts().recorder.flush()
    version = 1 - version
    await bench.reload(written())
    for (const [id, state] of states) {
      // What memory has of these versions already is at least as new as what comes back from history.
      const isBack = !stores.outlives && id.startsWith(`${version}/`) && !state.stored
      const stored = isBack ? state.recorded : state.stored
      states.set(id, { ...freshState(), stored, recorded: state.recorded, newestRow: state.newestRow })
    }
  }

  return {
    async act(action: Action): Promise<void> {
      if (action.do === 'read') await read(action.feature, action.key, action.maxAge)
      else if (action.do === 'read many') await readMany(action.features, action.keys)
      else if (action.do === 'step') bench.clock.advance(action.by)
      else if (action.do === 'mode') modes.set(action.feature, isHoldable(action.feature) && action.mode === 'hang' ? 'error' : action.mode)
      else if (action.do === 'push') await push(action.feature, action.key, action.value, action.ago)
      else if (action.do === 'hold') holding = true
      else if (action.do === 'release') await release()
      else if (action.do === 'restart') await restart()
      else await reload()
    },
    async close() {
      await release()
      await bench.close()
    },
  }
}

function check(what: string, served: Served, expected: Expected): void {
  const { value, status, servedFrom, ageMs, eventAt } = served
  expect({ what, value, status, servedFrom, ageMs, eventAt }).toEqual({ what, ...expected })
  const codes = status === 'error' ? ['feature_failed', 'feature_timeout'] : [undefined]
  expect(codes).toContain(served.error?.code)
}

export type World = Awaited<ReturnType<typeof openWorld>>
export type { Bench }
