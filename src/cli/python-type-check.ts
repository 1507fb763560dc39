/**
 * Type-checks definitions in Python with the checker of their environment: mypy or pyright, whichever is there. It finds the package "fabra" in the
 * copy that the executable brings along; the project's own settings of the checker count.
 */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { PythonPlace } from '../app/app.ts'
import type { PythonSettings } from '../config/python-settings.ts'
import type { Problem } from '../definition/model.ts'

interface Checker {
  readonly name: 'mypy' | 'pyright'
  readonly path: string
}

const LONGEST_MS = 300_000

/** @param files Absolute paths. What they import is checked with them. */
export async function pythonTypeCheck(files: readonly string[], settings: PythonSettings, cwd: string): Promise<Problem[]> {
  const [first] = files
  if (first === undefined) return []
  const { pythonPlace } = await import('../app/app.ts')
  const place = await pythonPlace(settings, first)
  const checker = checkerOf(place, settings.env)
  if (checker === null) {
    const message = `neither mypy nor pyright is in the environment of ${place.python}, nor on PATH.`
    return [{ location: null, subject: 'types', message, hint: `Install one: ${place.python} -m pip install mypy` }]
  }
  const { words, env } = commandOf(checker, place, settings.env)
  const child = Bun.spawn([...words, ...files], {
    cwd,
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  const problems = (checker.name === 'mypy' ? ofMypy(stdout, cwd) : ofPyright(stdout)).filter(
    ({ location }) => location === null || !location.file.startsWith(place.folder),
  )
  if (code === 0 || code === 1) return problems
  const said = `${stderr}${stdout}`.trim().split('\n').at(-1)
  return [
    ...problems,
    {
      location: null,
      subject: checker.name,
      message: `it ended with exit code ${code}: ${said}`,
      hint: `Run it by hand: ${checker.path} ${first}`,
    },
  ]
}

/** The environment's own first; of both, the one that the project has settings for is the first by its name alone. */
function checkerOf({ python }: PythonPlace, env: PythonSettings['env']): Checker | null {
  for (const name of ['mypy', 'pyright'] as const) {
    const path = join(dirname(python), name)
    if (existsSync(path)) return { name, path }
  }
  for (const name of ['mypy', 'pyright'] as const) {
    const path = Bun.which(name, { PATH: env['PATH'] ?? '' })
    if (path !== null) return { name, path }
  }
  return null
}

function commandOf({ name, path }: Checker, { python, folder }: PythonPlace, env: PythonSettings['env']) {
  const also = (variable: string) => [folder, env[variable]].filter(Boolean).join(':')
  if (name === 'pyright') {
    // It asks the interpreter where imports are found.
    return { words: [path, '--outputjson', '--pythonpath', python], env: { ...env, PYTHONPATH: also('PYTHONPATH') } }
  }
  const form = [
    '--show-column-numbers',
    '--no-error-summary',
    '--no-color-output',
    '--no-pretty',
    '--hide-error-context',
    '--show-absolute-path',
  ]
  return { words: [path, ...form, '--python-executable', python], env: { ...env, MYPYPATH: also('MYPYPATH') } }
}

const MYPY_LINE = /^(.+?):(\d+):(?:(\d+):)? (error|note): (.*?)(?:\s+\[([\w-]+)\])?$/

function ofMypy(text: string, cwd: string): Problem[] {
  const problems: Problem[] = []
  for (const line of text.split('\n')) {
    const [, file = '', at, column, kind, message = '', rule] = MYPY_LINE.exec(line) ?? []
    const last = problems.at(-1)
    if (kind === 'error') {
      const location = { file: resolve(cwd, file), line: Number(at), column: Number(column ?? 1) }
      problems.push({ location, subject: `mypy${rule === undefined ? '' : ` ${rule}`}`, message: sentence(message), hint: '' })
    } else if (kind === 'note' && last !== undefined) {
      problems[problems.length - 1] = { ...last, hint: `${last.hint} ${message}`.trim() }
    }
  }
  return problems
}

function ofPyright(text: string): Problem[] {
  let report: { generalDiagnostics?: readonly PyrightDiagnostic[] }
  try {
    report = JSON.parse(text)
  } catch {
    return []
  }
  return (report.generalDiagnostics ?? [])
    .filter(({ severity }) => severity === 'error')
    .map(({ file, message, rule, range: { start } }) => {
      const [first = '', ...more] = message.split('\n')
      const location = { file, line: start.line + 1, column: start.character + 1 }
      return {
        location,
        subject: `pyright${rule === undefined ? '' : ` ${rule}`}`,
        message: sentence(first),
        hint: more.join(' ').replace(/\s+/g, ' ').trim(),
      }
    })
}

interface PyrightDiagnostic {
  readonly file: string
  readonly severity: string
  readonly message: string
  readonly rule?: string
  readonly range: { readonly start: { readonly line: number; readonly character: number } }
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
