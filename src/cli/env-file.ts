/**
 * `.env` of a project: beside its first definitions file, else in the current folder. The environment wins, also with an empty value, and only
 * variables of Fabra's own configure it.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { variables } from '../config/config.ts'
import { FabraError, suggest } from '../errors.ts'

type Env = Readonly<Record<string, string | undefined>>

export interface Settings {
  /** The environment with what was taken. */
  readonly env: Env
  /** Names, in the order of the file. */
  readonly taken: readonly string[]
  /** What to tell the user; null where nothing was found. */
  readonly notice: string | null
}

const KNOWN: ReadonlySet<string> = new Set(variables.map(({ name }) => name))
/** For the commands of people, not for Fabra. */
const NOT_OURS: ReadonlySet<string> = new Set(['FABRA_API_KEY', 'FABRA_RELEASE'])
const DEFINITIONS = /\.(?:[cm]?[jt]s|[jt]sx|py)$/

/** @param files Definition files that were named. @throws FabraError io_failed */
export function withEnvFile(env: Env, { cwd, files }: { readonly cwd: string; readonly files: readonly string[] }): Settings {
  const path = envFile(cwd, files)
  const nothing = { env, taken: [], notice: null }
  if (path === undefined) return nothing
  const ours = Object.entries(parseEnv(textOf(path))).filter(([name, value]) => name.startsWith('FABRA_') && value !== '')
  const taken = ours.filter(([name]) => KNOWN.has(name) && env[name] === undefined)
  const unknown = ours.map(([name]) => name).filter((name) => !KNOWN.has(name) && !NOT_OURS.has(name))
  const shown = relative(cwd, path) || path
  const lines = [
    ...(taken.length > 0 ? [`Settings from ${shown}: ${taken.map(([name]) => name).join(', ')}.`] : []),
    ...unknown.map((name) => `${shown} has ${name}, which Fabra does not know. ${suggest(name, [...KNOWN])}`),
  ]
  return {
    env: { ...env, ...Object.fromEntries(taken) },
    taken: taken.map(([name]) => name),
    notice: lines.length === 0 ? null : `${lines.join('\n')}\n`,
  }
}

/** Of a command line that nobody has read yet. */
export function namedDefinitions(args: readonly string[]): string[] {
  return args.filter((arg) => DEFINITIONS.test(arg))
}

function envFile(cwd: string, [first]: readonly string[]): string | undefined {
  const folders = [...(first === undefined ? [] : [dirname(resolve(cwd, first))]), cwd]
  // A folder of that name is a Python environment.
  return folders.map((folder) => join(folder, '.env')).find((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch (cause) {
    throw new FabraError('io_failed', `${path} cannot be read.`, { hint: 'Let this user read it, or move it away.', cause })
  }
}
