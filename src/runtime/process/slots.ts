/**
 * Memory that a process which runs functions and the host have in common, as a file that both map. The host sees in it what the process does even while C code
 * holds the interpreter's lock. Words of 32 bits:
 *
 *   0 … 1023         gates of calls under way, see gates.ts; without an atomic exchange in Python, which a lock of its own has to do for
 *   1024 + 4·i …     thread i: its id in the system; the call whose code runs there, 0 for none; Python's name for it in two words. 0 is the loop's.
 */
import { closeSync, existsSync, ftruncateSync, lstatSync, openSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GATES } from '../gates.ts'

const IN_MEMORY = '/dev/shm'
/** No worker takes so long to start. */
const STARTED_LONG_AGO_MS = 3_600_000
const THREADS = 320
const WORDS = GATES + 4 * THREADS
const LOOP_CALL = GATES + 1

export interface RunningThread {
  /** As the system knows it: a number in /proc. */
  readonly nativeId: number
  readonly call: number
  /** As Python names it in dumps. */
  readonly ident: bigint
  readonly isLoop: boolean
}

export interface Slots {
  readonly path: string
  /** An empty file beside it, for what stacks.ts reads. */
  readonly stacksPath: string
  readonly gates: Int32Array
  /** Threads in which a call's code runs at this instant. */
  running(): RunningThread[]
  /** Id of the call whose code runs in the loop's thread; 0 for none. */
  runningInLoop(): number
  /** Python's name for the thread that loads the files. */
  mainIdent(): bigint
  /** The process has both files open too, or is gone: their names are not needed any more. */
  unlink(): void
}

export function createSlots(): Slots {
  const path = join(folderOf(), `fabra-${process.pid}-${crypto.randomUUID()}`)
  const stacksPath = `${path}-stacks`
  makeFile(path, 4 * WORDS)
  makeFile(stacksPath, 0)
  const bytes = Bun.mmap(path, { shared: true })
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, WORDS)
  return {
    path,
    stacksPath,
    gates: words.subarray(0, GATES),
    running() {
      const found: RunningThread[] = []
      for (let i = 0; i < THREADS; i++) {
        const at = GATES + 4 * i
        const call = Atomics.load(words, at + 1)
        if (call === 0) continue
        found.push({ nativeId: word(words, at), call, ident: identAt(words, at), isLoop: i === 0 })
      }
      return found
    },
    runningInLoop: () => Atomics.load(words, LOOP_CALL),
    mainIdent: () => identAt(words, GATES),
    unlink() {
      rmSync(path, { force: true })
      rmSync(stacksPath, { force: true })
    },
  }
}

/** The same memory, as TypeScript's guest has it in its own process. */
export function sharedWords(path: string): { readonly gates: Int32Array; readonly running: Int32Array } {
  const bytes = Bun.mmap(path, { shared: true })
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, WORDS)
  return { gates: words.subarray(0, GATES), running: words.subarray(LOOP_CALL, LOOP_CALL + 1) }
}

function folderOf(): string {
  return existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir()
}

/** Removes what servers left that were killed while a worker was starting: the names are there for that long only. */
export function removeOldSlots(): void {
  for (const name of readdirSync(folderOf())) {
    if (!/^fabra-\d+-[\da-f]{8}-[\da-f-]{27}(?:-stacks)?$/.test(name)) continue
    const path = join(folderOf(), name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat?.isFile() && stat.uid === process.getuid?.() && Date.now() - stat.mtimeMs > STARTED_LONG_AGO_MS) rmSync(path, { force: true })
  }
}

function makeFile(path: string, size: number): void {
  const descriptor = openSync(path, 'wx', 0o600)
  ftruncateSync(descriptor, size)
  closeSync(descriptor)
}

function identAt(words: Int32Array, at: number): bigint {
  return (BigInt(word(words, at + 3)) << 32n) | BigInt(word(words, at + 2))
}

function word(words: Int32Array, at: number): number {
  return Atomics.load(words, at) >>> 0
}
