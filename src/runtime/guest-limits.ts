/**
 * What a features file may not do because it would happen to the whole server: a thread has its own memory, but the process has one current
 * folder, one umask, one user, one name. It is refused to code that does it by accident, with what to do instead; code that means harm has
 * other ways, for user code is trusted. (Modules that take long to load are left alone: to have them here would hold up every start.)
 */
import { FabraError } from '../errors.ts'
import type { LogLevel } from './frames.ts'

/** Thrown to user code. Its words may be shown to clients. */
export class RefusedEffect extends FabraError {
  constructor(what: string, feature: string | undefined, why: string, instead: string) {
    super('feature_failed', `${what} was called${feature === undefined ? '' : ` by feature "${feature}"`}, and is refused: ${why}.`, {
      hint: instead,
    })
  }
}

export interface Surroundings {
  /** The feature whose function runs; undefined while the file is loaded, and where nobody knows. */
  feature(): string | undefined
  print(level: LogLevel, message: string): void
}

/** Node's own names, whatever this version of the runtime has of them. */
const USERS = ['setuid', 'setgid', 'seteuid', 'setegid', 'setgroups', 'initgroups']
const LISTENING = ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'] as const
/** Ours are among the listeners: without them an error that nobody catches would end the thread with the calls of others. */
const LAST_RESORT = ['uncaughtException', 'unhandledRejection']

/** Done once in a thread, before any user code is loaded: what is imported by name later is what stands here. */
export function limitProcess(surroundings: Surroundings): void {
  const refuse = (what: string, why: string, instead: string) => () => {
    throw new RefusedEffect(what, surroundings.feature(), why, instead)
  }
  refuseToEnd(refuse)
  refuseToChange(refuse)
  refuseToSpeak(refuse)
  ignoreSignals(refuse, surroundings)
}

type Refuse = (what: string, why: string, instead: string) => () => never

/** `abort` and a signal would end the server with everything it holds; `exit` this thread with the calls of others. */
function refuseToEnd(refuse: Refuse): void {
  const end = (what: string) => refuse(what, 'a features file cannot end the server', 'Throw an error instead.')
  const { kill } = process
  const isServer = (pid: number) => pid === process.pid || pid === process.ppid || pid <= 0
  replace(process, {
    exit: end('process.exit()'),
    reallyExit: end('process.reallyExit()'),
    abort: end('process.abort()'),
    execve: end('process.execve()'),
    _kill: end('process._kill()'),
    kill: (pid: number, signal?: string | number) => {
      if (isServer(pid)) end('process.kill() of the server itself')()
      return kill.call(process, pid, signal)
    },
  })
}

function refuseToChange(refuse: Refuse): void {
  const mask = process.umask()
  const all = 'it would change the whole server'
  const umask = refuse('process.umask()', all, 'Give the mode to what writes the file: writeFile(path, data, { mode: 0o600 }).')
  replace(process, {
    chdir: refuse('process.chdir()', all, 'Use whole paths: new URL("./data.json", import.meta.url).'),
    umask: (wanted?: unknown) => (wanted === undefined ? mask : umask()),
  })
  for (const name of USERS)
    if (name in process) replace(process, { [name]: refuse(`process.${name}()`, all, 'Run the server as that user.') })
  const title = process.title
  Object.defineProperty(process, 'title', {
    get: () => title,
    set: refuse('process.title =', all, 'Leave the name of the process alone.'),
    configurable: false,
  })
}

/** The thread's port is Fabra's own: it carries the calls and their answers. */
function refuseToSpeak(refuse: Refuse): void {
  const own = 'the channel belongs to Fabra'
  const post = refuse('postMessage()', own, 'Return the value from the function.')
  const close = refuse('close()', 'it would end a thread that others use', 'Throw an error instead.')
  // Assigned: the runtime lets nobody redefine them.
  Object.assign(globalThis, { postMessage: post, close })
  const ask = (what: string) =>
    refuse(`${what}()`, 'nobody sits at the server’s terminal', 'Take what you need from inputs or the environment.')
  Object.assign(globalThis, { alert: ask('alert'), confirm: ask('confirm'), prompt: ask('prompt') })
}

/** Packages listen for signals as they are imported; nothing is the matter with the rest of them, so that they are told is all. */
function ignoreSignals(refuse: Refuse, { print }: Surroundings): void {
  const warned = new Set<string>()
  const methods: Pick<NodeJS.Process, (typeof LISTENING)[number]> = process
  for (const method of LISTENING) {
    const original = methods[method] as (event: string | symbol, listener: (...args: unknown[]) => void) => NodeJS.Process
    replace(process, {
      [method](event: string | symbol, listener: (...args: unknown[]) => void) {
        if (typeof event !== 'string' || !/^SIG[A-Z]/.test(event)) return original.call(process, event, listener)
        if (!warned.has(event))
          print('warn', `A features file listens for ${event}. Signals are the server’s to handle, so the listener is never called.`)
        warned.add(event)
        return process
      },
    })
  }
  const { removeAllListeners } = process
  const removal = refuse(
    'process.removeAllListeners()',
    'errors that nobody catches would end the thread',
    'Remove your own listeners by process.off().',
  )
  replace(process, {
    removeAllListeners: (event?: string | symbol) => {
      if (event === undefined || LAST_RESORT.includes(String(event))) removal()
      return removeAllListeners.call(process, event)
    },
  })
}

function replace(target: object, methods: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(methods))
    Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: true })
}
