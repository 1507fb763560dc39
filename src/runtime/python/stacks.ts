/**
 * Where functions are, without their help: on a signal the process writes the stacks of all threads to a file, even while C code holds the
 * interpreter's lock.
 */
import { closeSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { basename } from 'node:path'
import type { Slots } from '../process/slots.ts'

export interface Stacks {
  /** Asks for the stacks, unless that was done just now. */
  look(): void
  /** Where the call's code was at the last look, as `features.py:42 in slow`; null when nobody knows. */
  placeOf(call: number): string | null
  /** Where the thread is that loads the files. */
  placeOfMain(): Promise<string | null>
  close(): void
}

export interface StacksOptions {
  readonly pid: number
  readonly slots: Slots
  /** Whether a file is the user's own. */
  isOwn(file: string): boolean
}

const MOST_OFTEN_MS = 100
/** It takes two. */
const WRITTEN_MS = 8
const TRIES = 10
/** In the place of a call: the main thread while it runs none. */
const MAIN = 0
const MOST_BYTES = 256 * 1024

export function createStacks({ pid, slots, isOwn }: StacksOptions): Stacks {
  const file = openSync(slots.stacksPath, 'r+')
  const buffer = new Uint8Array(MOST_BYTES)
  let places = new Map<number, string>()
  let position = 0
  let lookedAt = 0
  let timer: ReturnType<typeof setTimeout> | null = null

  function read(threads: ReadonlyMap<bigint, number>, tries: number): void {
    timer = null
    const length = readSync(file, buffer, 0, MOST_BYTES, position)
    if (length === 0 && tries > 1) {
      // The system has not let it run yet.
      readSoon(threads, tries - 1)
      return
    }
    position += length
    // The process goes on where it was: what lies before takes no room any more.
    ftruncateSync(file, 0)
    places = placesIn(new TextDecoder().decode(buffer.subarray(0, length)), threads, isOwn)
  }

  function readSoon(threads: ReadonlyMap<bigint, number>, tries: number): void {
    timer = setTimeout(read, WRITTEN_MS, threads, tries)
    timer.unref()
  }

  function look(): void {
    const now = performance.now()
    if (timer !== null || now - lookedAt < MOST_OFTEN_MS) return
    lookedAt = now
    const threads = new Map([[slots.mainIdent(), MAIN], ...slots.running().map(({ ident, call }) => [ident, call] as const)])
    try {
      process.kill(pid, 'SIGUSR1')
    } catch {
      return
    }
    readSoon(threads, TRIES)
  }

  return {
    look,
    async placeOfMain() {
      look()
      await Bun.sleep(WRITTEN_MS * (TRIES + 1))
      return places.get(MAIN) ?? null
    },
    placeOf: (call) => places.get(call) ?? null,
    close() {
      if (timer !== null) clearTimeout(timer)
      timer = null
      lookedAt = Number.POSITIVE_INFINITY
      closeSync(file)
    },
  }
}

/** @param text As faulthandler writes it: the innermost call of a thread comes first. */
export function placesIn(text: string, threads: ReadonlyMap<bigint, number>, isOwn: (file: string) => boolean): Map<number, string> {
  const places = new Map<number, string>()
  let call: number | undefined
  for (const line of text.split('\n')) {
    const thread = /^(?:Current thread|Thread) 0x([0-9a-f]+)/.exec(line)?.[1]
    if (thread !== undefined) call = threads.get(BigInt(`0x${thread}`))
    const [, file, at, name] = /^ {2}File "(.*)", line (\d+) in (.*)$/.exec(line) ?? []
    if (call === undefined || file === undefined || places.has(call) || !isOwn(file)) continue
    places.set(call, `${basename(file)}:${at} in ${name}`)
  }
  return places
}
