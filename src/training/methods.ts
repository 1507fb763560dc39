import { dirname, relative } from 'node:path'
import { isPushed, isRealtime, replays, takesInputs } from '../definition/feature-traits.ts'
import type { Feature } from '../definition/model.ts'
import { isPython } from '../definition/python-words.ts'
import { FabraError } from '../errors.ts'
import type { Method, TrainingOptions } from './options.ts'

export interface PastFacts {
  /** Why an SQL feature cannot be computed as of a past time; null when it can. */
  readonly pastRefusal: (feature: Feature) => string | null
  readonly hasHistory: (feature: Feature) => Promise<boolean>
}

/**
 * How a feature's past is told for training.
 * @throws FabraError not_trainable with the reason. Today's value never stands in for a past one.
 */
export async function methodOf(feature: Feature, options: Pick<TrainingOptions, 'method' | 'asServed'>, facts: PastFacts): Promise<Method> {
  const wanted = options.asServed ? 'history' : options.method
  const method = wanted ?? naturalMethod(feature)
  const why = method === 'history' ? await historyRefusal(feature, wanted !== null, facts) : refusal(feature, method, facts)
  if (why === null) return method
  const how = options.asServed ? ' as it was served' : options.method === null ? '' : ` by ${method}`
  throw new FabraError('not_trainable', `The past of "${feature.name}" cannot be told${how}: ${why.reason}`, { hint: why.hint })
}

function naturalMethod(feature: Feature): Method {
  if (feature.computation.kind === 'sql') return 'recompute'
  return replays(feature) ? 'replay' : 'history'
}

/** Why it is that method, in a few words. */
export function whyOf(feature: Feature, method: Method, options: TrainingOptions): string {
  if (options.asServed) return 'asked for as it was served'
  if (options.method !== null) return `asked for by ${method}`
  if (method === 'recompute') return 'SQL over sources that say when their rows came to be'
  if (method === 'history') return isPushed(feature) ? 'its values are pushed' : whyNoReplay(feature)
  if (takesInputs(feature)) return 'a function with inputs'
  if (isRealtime(feature)) return 'a realtime function'
  return isInPython(feature) && feature.clock.length === 0 ? 'a function that asks no clock' : 'a function that says it replays'
}

interface Refusal {
  readonly reason: string
  readonly hint: string
}

function refusal(feature: Feature, method: 'recompute' | 'replay', facts: PastFacts): Refusal | null {
  const { kind } = feature.computation
  if (method === 'replay') {
    if (kind !== 'function') return { reason: 'it is not a function.', hint: 'Leave the method out, and each feature takes its own.' }
    if (replays(feature)) return null
    const clock = clockUse(feature)
    if (clock !== null) return { reason: `${clock}.`, hint: AS_OF }
    return {
      reason: 'its function is not said to replay.',
      hint: `If it uses only db, get, inputs and asOf, add ${replayOption(feature)}.`,
    }
  }
  if (kind !== 'sql') return { reason: 'it is not SQL.', hint: 'Leave the method out, and each feature takes its own.' }
  const past = facts.pastRefusal(feature)
  return past === null
    ? null
    : {
        reason: past,
        hint: 'Give its sources a timestamp (or static: true). What was recorded while serving is had with --method history.',
      }
}

async function historyRefusal(feature: Feature, wanted: boolean, facts: PastFacts): Promise<Refusal | null> {
  const clock = replays(feature) ? null : clockUse(feature)
  if (takesInputs(feature)) {
    if (clock !== null) return { reason: `${clock}, and values computed from inputs are never recorded.`, hint: AS_OF }
    return {
      reason: 'values computed from inputs are never recorded.',
      hint: 'Leave the method out: its function runs again for each row.',
    }
  }
  if (feature.history === 'off') {
    if (clock !== null) return { reason: `${clock}, and its history is off.`, hint: AS_OF }
    return {
      reason: 'its history is off, so nothing is recorded.',
      hint: `Remove ${isInPython(feature) ? 'history="off"' : 'history: "off"'}, or add ${replayOption(feature)} to a function that uses only db, get and asOf.`,
    }
  }
  if (wanted || isPushed(feature) || (await facts.hasHistory(feature))) return null
  if (clock !== null) {
    return {
      reason: `${clock}, and nothing has been recorded yet.`,
      hint: `${AS_OF} Or serve it for a while, and its values are recorded.`,
    }
  }
  return {
    reason: 'its function is neither realtime nor said to replay, and nothing has been recorded yet.',
    hint: `If it uses only db, get, inputs and asOf, add ${replayOption(feature)}; else serve it for a while, and its values are recorded.`,
  }
}

const AS_OF = 'Use as_of() for the time. If its answers are right for any time all the same, add replay=True.'

/** Where a function is seen to look at the clock or at chance: run again for a past time, it would give the answer of today. */
function clockUse({ clock: [use], location }: Feature): string | null {
  if (use === undefined) return null
  // Clients read it too, to whom the folders of the server say nothing.
  const file = location === null ? use.file : relative(dirname(location.file), use.file)
  return `its function uses ${use.what} (${file}:${use.line}), which knows nothing of a row's time`
}

function whyNoReplay({ clock: [use] }: Feature): string {
  return use === undefined ? 'a function that does not replay' : `a function that uses ${use.what}`
}

function replayOption(feature: Feature): string {
  return isInPython(feature) ? 'replay=True' : 'replay: true'
}

function isInPython({ location }: Feature): boolean {
  return location !== null && isPython(location.file)
}
