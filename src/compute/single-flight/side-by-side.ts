/**
 * Calls of a function that start together and end each by itself, under one deadline: what is needed once for all of them costs more than one call does.
 */
import type { Micros } from '../../clock.ts'
import type { Feature } from '../../definition/model.ts'
import type { Computed } from '../executor.ts'
import type { BatchRunner } from './batch-runner.ts'
import { failed, type InFlight } from './in-flight.ts'

const NO_CHAIN: readonly string[] = []

/** @returns lists of calls that have as much time as each other, and those that are of a kind of their own: looks, and parts of running functions. */
export function alikeOf(calls: readonly InFlight[]): { alike: Iterable<readonly InFlight[]>; others: readonly InFlight[] } {
  const others: InFlight[] = []
  const alike = new Map<number, InFlight[]>()
  for (const call of calls) {
    const known = alike.get(call.timeoutMs)
    if (call.chain.length > 0 || call.isLook) others.push(call)
    else if (known === undefined) alike.set(call.timeoutMs, [call])
    else known.push(call)
  }
  return { alike: alike.values(), others }
}

/**
 * @param calls Alike, and none of one key with another.
 * @param onAnswered Told of those whose answers came together, each call once. `leftMs`: of their time.
 */
export function sideBySide(
  runner: BatchRunner,
  feature: Feature,
  calls: readonly InFlight[],
  asOf: Micros,
  onAnswered: (calls: readonly InFlight[], answers: readonly Computed[], leftMs: number) => void,
): void {
  const timeoutMs = calls[0]?.timeoutMs ?? 0
  const endsAt = performance.now() + timeoutMs
  for (const call of calls) call.asOf = asOf
  const isAnswered = new Uint8Array(calls.length)
  let some: InFlight[] = []
  let answers: Computed[] = []
  const tell = () => {
    const [called, computed] = [some, answers]
    some = []
    answers = []
    onAnswered(called, computed, endsAt - performance.now())
  }
  const onAnswer = (row: number, computed: Computed) => {
    const call = calls[row]
    if (call === undefined || isAnswered[row] === 1) return
    isAnswered[row] = 1
    answers.push(computed)
    if (some.push(call) === 1) queueMicrotask(tell)
  }
  void runner.compute(feature, calls, { timeoutMs, chain: NO_CHAIN, onAnswer }).then((all) => {
    for (let row = 0; row < calls.length; row++) onAnswer(row, all.at(row) ?? failed(feature))
  })
}
