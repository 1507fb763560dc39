import { describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { registerCommands } from '../src/cli/commands/index.ts'
import { typeCheck } from '../src/cli/type-check.ts'
import { variables } from '../src/config/config.ts'
import { errorCodes, FabraError } from '../src/errors.ts'
import { routeTable } from '../src/http/route-table.ts'
import { createRuns } from '../src/refresh/runs.ts'

const PROJECT = join(import.meta.dir, '..')
const readme = readFileSync(join(PROJECT, 'README.md'), 'utf8')

describe('the README', () => {
  test('begins with the two commands that set everything up', () => {
    const [, firstBlock = ''] = /```sh\n([\s\S]*?)```/.exec(readme) ?? []
    expect(firstBlock.split('\n').map((line) => line.split(/\s+#/)[0])).toEqual(['./scripts/demo', './scripts/test', ''])
    for (const script of ['scripts/demo', 'scripts/test', 'scripts/build', 'scripts/bench'])
      expect(existsSync(join(PROJECT, script))).toBe(true)
  })

  test('names every error code with its HTTP status and exit code, and no other', () => {
    const rows = tableUnder('## Errors').map(([code, status, exit]) => [code, Number(status), Number(exit)])
    const codes = errorCodes.map((code) => {
      const error = new FabraError(code, '')
      return [`\`${code}\``, error.status, error.exitCode]
    })
    expect(rows).toEqual(codes)
  })

  test('names every environment variable with its default, and no other', () => {
    const rows = tableUnder('## Environment').map(([name, fallback]) => [name, fallback?.replaceAll('`', '')])
    expect(rows).toEqual(variables.map((variable) => [`\`${variable.name}\``, variable.default]))
  })

  test('names every command of the command line, and no other', () => {
    const rows = tableUnder('## Command line').map(([command]) => command?.match(/^`fabra ([a-z-]+)/)?.[1])
    expect(rows.sort()).toEqual(commandNames().sort())
  })

  test('names every route of the HTTP API, and no other', () => {
    const table = routeTable({
      serving: unused,
      readiness: unused,
      metrics: unused,
      refresh: unused,
      runs: createRuns(),
      history: unused,
      ingest: { push: unused, append: unused, forget: unused },
      training: { begin: unused, report: unused },
      keyring: null,
      isDevelopment: true,
      clock: { now: () => 0 },
      log: { debug: unused, info: unused, warn: unused, error: unused },
      version: '0.0.0',
    })
    const shown = table.filter((route) => route.docs !== null)
    const routes = shown.map((route) => `\`${route.method} ${route.path.replace(/:(\w+)/g, '{$1}')}\``)
    const rows = tableUnder('### HTTP API').map(([route]) => route ?? '')
    expect(rows.sort()).toEqual([...new Set(routes)].sort())
  })

  test('shows definitions that pass the type check', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fabra-readme-'))
    const file = join(folder, 'features.ts')
    writeFileSync(file, /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '')
    const problems = await typeCheck([file])
    rmSync(folder, { recursive: true })
    expect(problems).toEqual([])
  })

  test('links to files that exist', () => {
    for (const [, target = ''] of readme.matchAll(/\]\(([^)#]+)\)/g))
      expect({ target, exists: existsSync(join(PROJECT, target)) }).toEqual({ target, exists: true })
  })
})

/** Cells of the table rows under a heading, up to the next heading; without the two lines of its head. */
function tableUnder(heading: string): string[][] {
  const lines = readme.split('\n')
  const start = lines.indexOf(heading)
  expect(start, heading).toBeGreaterThan(0)
  const length = lines.slice(start + 1).findIndex((line) => /^#{1,3} /.test(line))
  return lines
    .slice(start + 1, length < 0 ? undefined : start + 1 + length)
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

function commandNames(): string[] {
  const program = new Command()
  const context = { stdout: unused, stderr: unused, json: false, color: false, cwd: PROJECT, clock: { now: () => 0 }, setExitCode: unused }
  const process = {
    stdout: unused,
    stderr: unused,
    cwd: PROJECT,
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    onSignal: unused,
  }
  registerCommands(program, context, process)
  return program.commands.map((command) => command.name())
}

function unused(): never {
  throw new Error('Not needed to look at what there is.')
}
