import { createOutbox, type HostFrame, isPlainAnswer } from '../frames.ts'
import { type InFlightCall, unsendable } from '../guest-worker.ts'
import type { Slots } from '../process/slots.ts'
import { frameText } from '../process/wire.ts'
import { createSentCalls } from '../sent-calls.ts'
import type { PythonLink } from './link.ts'
import { createSignsOfLife } from './signs-of-life.ts'

/** The calls that one process was sent, and what is known of them without its help. */
export interface PythonCalls {
  send(frame: HostFrame): void
  give(call: InFlightCall): void
  hasBegun(call: InFlightCall): boolean
  /** @param at On the clock of `performance.now()`. */
  ranMs(call: InFlightCall, at: number): number
  withdraw(call: InFlightCall): boolean
  release(call: InFlightCall): void
  locate(call: InFlightCall): void
  placeOf(call: InFlightCall): string | null
  /** A result has come. */
  answered(id: number): void
  runningId(): number
  lastFeatures(): readonly string[]
  /** An answer to a ping. */
  seen(sign: 'pong' | 'beat'): void
}

export interface PythonCallsOptions {
  readonly link: PythonLink
  readonly slots: Slots
  /** The process shows that it is not blocked. */
  onAlive(): void
}

/** A busy process is pinged all the time, and answers: only when it does not is it worth asking the system about each of its threads. */
const QUIET_MS = 40

export function createPythonCalls({ link, slots, onAlive }: PythonCallsOptions): PythonCalls {
  const sent = createSentCalls(slots.gates)
  let silence: ReturnType<typeof setTimeout> | null = null
  const life = createSignsOfLife(() => {
    if (silence !== null) clearTimeout(silence)
    silence = null
    onAlive()
  })
  const beginSilence = () => {
    silence = null
    link.guest()?.blame.begin()
  }
  /** Of calls that somebody waits for. */
  const features = new Map<number, string>()
  const sendSoon = createOutbox<HostFrame>((frames) => link.post(frames.map(textOf)), unsendable)

  function send(frame: HostFrame): void {
    if (frame.t === 'ping') {
      life.asked()
      silence ??= setTimeout(beginSilence, QUIET_MS)
      silence.unref()
    } else if (frame.t === 'cancel') {
      const feature = features.get(frame.id)
      features.delete(frame.id)
      if (feature !== undefined) link.guest()?.lost.add(frame.id, feature)
    }
    sendSoon(frame)
  }

  return {
    send,
    give({ frame }) {
      features.set(frame.id, frame.feature)
      link.guest()?.memory.wake()
      send({ ...frame, slot: sent.add(frame.id) })
    },
    hasBegun: ({ frame }) => sent.hasBegun(frame.id),
    ranMs: ({ frame }, at) => sent.ranMs(frame.id, at),
    withdraw({ frame }) {
      const isOurs = sent.withdraw(frame.id)
      if (isOurs) features.delete(frame.id)
      return isOurs
    },
    release: ({ frame }) => sent.release(frame.id),
    locate({ frame }) {
      // One that has not begun is nowhere; its process may still be loading, and would not know the signal.
      if (sent.hasBegun(frame.id)) link.guest()?.stacks.look()
    },
    placeOf: ({ frame }) => link.guest()?.stacks.placeOf(frame.id) ?? null,
    answered(id) {
      features.delete(id)
      life.answered()
    },
    runningId: () => link.guest()?.blame.culprit(life.loopIsSilent()) ?? 0,
    lastFeatures: () => slots.running().flatMap(({ call }) => features.get(call) ?? []),
    seen: life.seen,
  }
}

/** Whole numbers beyond 2^53 come in answers, and in what callers put in; the writer that keeps them exact is slower. */
function textOf(frame: HostFrame): string {
  return frameText(frame, frame.t === 'answer' ? isPlainAnswer(frame) : !(frame.t === 'call' && frame.inputs !== null))
}
