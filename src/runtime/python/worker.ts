/**
 * A Python process as the pool sees it. It differs from a thread in what its silence means: the interpreter's lock is shared by all functions that
 * run there, so that a busy process may be silent for a tenth of a second without anybody blocking it. Who is to blame is said with evidence
 * alone; see blame.ts. Calls whose time is over may go on in threads that nothing ends; see lost-calls.ts.
 */
import packageJson from '../../../package.json'
import { MAX_VALUE_BYTES } from '../../definition/json-writer.ts'
import { FabraError } from '../../errors.ts'
import { type LoadedFrame, PROTOCOL_VERSION } from '../frames.ts'
import {
  type GuestWorker,
  type GuestWorkerOptions,
  newState,
  noteSignOfLife,
  type StartWorker,
  type Watchfulness,
} from '../guest-worker.ts'
import { hideProcess } from '../process/hide-process.ts'
import { createSlots, removeOldSlots, type Slots } from '../process/slots.ts'
import { frameText } from '../process/wire.ts'
import { callFailure, loadFailure } from '../process/worker-end.ts'
import { createPythonCalls, type PythonCalls } from './calls.ts'
import { findInterpreter } from './interpreter.ts'
import { openPythonLink } from './link.ts'
import { packageFiles } from './package-files.ts'
import type { EndOfGuest, FromPython, Prepared } from './python-guest.ts'
import { unpackPackage } from './unpack.ts'

export interface PythonSettings {
  /** Of the command: says where interpreters are. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** What user code sees of it: without the server's secrets. */
  readonly workerEnv: Readonly<Record<string, string | undefined>>
  /** Where the embedded package may be unpacked, best first. */
  readonly cacheFolders: readonly string[]
  /** Absolute path of this executable. */
  readonly executable: string
  /** Bytes that a worker may hold. */
  readonly memory: number
  /** Whether the system keeps from workers what this process holds. */
  readonly hidesServer?: boolean
  /** Another package than the embedded one, by the names of its files. */
  readonly files?: Readonly<Record<string, string>>
}

const PROCESS: Watchfulness = {
  pingAfterMs: 100,
  stalledAfterMs: 400,
  suspectAfterMs: 500,
  hedgeAfterMs: 750,
  blamesUnknown: false,
  afterCrash: 'waiting',
}
const THREADS = { threads: 32, maxThreads: 256 }

/** @returns what starts workers of these settings. The interpreter is looked for once, and again as long as there is none. */
export function pythonWorkers(settings: PythonSettings): StartWorker {
  if (settings.hidesServer) hideProcess()
  let preparing: Promise<Prepared> | null = null
  const prepare = async (file: string): Promise<Prepared> => {
    removeOldSlots()
    const folder = unpackPackage(settings.files ?? packageFiles(), settings.cacheFolders)
    return { folder, interpreter: await findInterpreter({ env: settings.env, file, executable: settings.executable }, folder) }
  }
  return (options) => {
    preparing ??= prepare(options.files[0] ?? '').catch((error: unknown) => {
      preparing = null
      throw error
    })
    return startPythonWorker(options, settings, preparing)
  }
}

function startPythonWorker(options: GuestWorkerOptions, settings: PythonSettings, prepared: Promise<Prepared>): GuestWorker {
  const loading = Promise.withResolvers<LoadedFrame>()
  loading.promise.catch(() => {})
  const ended = Promise.withResolvers<void>()
  const slots = createSlots()
  let ownFiles: ReadonlySet<string> = new Set(options.files)
  let isEnding = false

  function onFrame(frame: FromPython): void {
    if (frame.t === 'pong' || frame.t === 'beat') calls.seen(frame.t)
    else if (frame.t === 'loaded') {
      slots.unlink()
      noteSignOfLife(worker)
      worker.definitions = frame
      ownFiles = new Set(frame.files)
      loading.resolve(frame)
    } else if (frame.t === 'hello') refuseOtherVersion(frame.version, loading.reject)
    else {
      if (frame.t === 'result') calls.answered(frame.id)
      options.onFrame(worker, frame)
    }
  }
  function onEnd(end: EndOfGuest): void {
    slots.unlink()
    loading.reject(loadFailure(end))
    ended.resolve()
    if (!isEnding) options.onCrash(worker, end.how, callFailure('Python process', end), end.isFromOutside)
  }
  const link = openPythonLink(prepared, {
    ...settings,
    slots,
    first: loadText(options, settings, slots),
    isBusy: () => worker.inFlight.size > 0 || worker.definitions === null,
    isOwn: (file) => ownFiles.has(file),
    onFrame,
    onEnd,
    onLog: (level, message) => options.onFrame(worker, { t: 'log', id: 0, level, message, fields: {} }),
    onSpent: (features) => options.onSpent(worker, features),
    onCannotStart(reason) {
      loading.reject(reason)
      onEnd({ how: 'it could not be started', lastWords: '', hint: null, isFromOutside: false })
    },
  })
  const calls = createPythonCalls({ link, slots, onAlive: () => noteSignOfLife(worker) })
  const terminate = async () => {
    isEnding = true
    loading.reject(new Error('The worker was terminated while it loaded.'))
    await link.end(worker.stalled)
    return true
  }
  const placeInFiles = async () => (await link.guest()?.stacks.placeOfMain()) ?? null
  const worker = newWorker(calls, { loaded: loading.promise, ended: ended.promise, placeInFiles, terminate })
  return worker
}

function newWorker(calls: PythonCalls, ends: Pick<GuestWorker, 'loaded' | 'ended' | 'placeInFiles' | 'terminate'>): GuestWorker {
  const worker: GuestWorker = {
    ...newState(PROCESS),
    ...calls,
    ...ends,
    ranMs: (call) => calls.ranMs(call, worker.lastSeenAt),
  }
  return worker
}

function loadText({ files, clockOffset }: GuestWorkerOptions, { memory }: PythonSettings, slots: Slots): string {
  const limits = { memory, ...THREADS, valueBytes: MAX_VALUE_BYTES }
  return frameText(
    {
      t: 'load',
      version: PROTOCOL_VERSION,
      fabra: packageJson.version,
      files,
      clockOffset,
      limits,
      slots: slots.path,
      dump: slots.stacksPath,
    },
    true,
  )
}

function refuseOtherVersion(version: number, reject: (reason: Error) => void): void {
  if (version === PROTOCOL_VERSION) return
  const message = `the package "fabra" that Python found speaks version ${version} of the protocol; ${PROTOCOL_VERSION} is needed.`
  reject(new FabraError('invalid_definition', message, { hint: 'Remove it from PYTHONPATH.' }))
}
