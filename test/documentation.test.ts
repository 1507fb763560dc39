/** README and docs say what the code does: lists are compared, links followed, definitions type-checked, command lines looked up. */
import { describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import packageJson from '../package.json'
import { SCOPES } from '../src/auth/scopes.ts'
import { registerCommands } from '../src/cli/commands/index.ts'
import { typeCheck } from '../src/cli/type-check.ts'
import { variables } from '../src/config/config.ts'
import { platforms } from '../src/deploy/platforms.ts'
import { errorCodes, FabraError } from '../src/errors.ts'
import { routeTable } from '../src/http/route-table.ts'
import { createRuns } from '../src/refresh/runs.ts'
import { MAY_IMPORT, PACKAGES, ROOMS, roomOf, sourceFiles } from './support/architecture.ts'
import { benchInsight } from './support/bench-insight.ts'
import { anchors, blocks, fabraLines, inTicks, links, PROJECT, page, pages, table, words } from './support/documentation.ts'

const program = commandLine()
/** Of the present; the changelog tells what was. */
const current = pages.filter(({ path }) => path !== 'CHANGELOG.md')

describe('README', () => {
  const readme = page('README.md')

  test('begins with the two commands that set everything up', () => {
    const [first] = blocks(readme)
    expect(first?.text.split('\n').map((line) => line.split(/\s+#/)[0])).toEqual(['./scripts/demo', './scripts/test', ''])
    for (const script of ['scripts/demo', 'scripts/test']) expect(existsSync(join(PROJECT, script))).toBe(true)
  })

  test('is read in a few minutes', () => {
    expect(readme.text.split('\n').length).toBeLessThanOrEqual(160)
  })

  test('leads to every page, itself or by pages that it leads to', () => {
    const reached = new Set(['README.md'])
    for (const path of reached) {
      const of = pages.find((one) => one.path === path)
      for (const link of of ? links(of) : []) reached.add(link.path)
    }
    expect(pages.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
  })
})

describe('the pages', () => {
  test('link to files that exist, and to headings that are there', () => {
    const all = pages.flatMap(links)
    expect(all.length).toBeGreaterThan(60)
    expect(all.filter(({ path }) => !existsSync(join(PROJECT, path)))).toEqual([])
    const withAnchor = all.filter(({ anchor }) => anchor !== '')
    expect(withAnchor.length).toBeGreaterThan(5)
    expect(withAnchor.filter(({ path, anchor }) => !anchors(page(path)).has(anchor))).toEqual([])
  })

  test('name files of the project that exist', () => {
    const named = current.flatMap(({ path, text }) =>
      inTicks(text)
        .filter((code) => /^(src|test|scripts|docs|examples)\/[^ <>…]*$/.test(code))
        .map((file) => ({ path, file })),
    )
    expect(named.length).toBeGreaterThan(40)
    expect(named.filter(({ file }) => !existsSync(join(PROJECT, file)))).toEqual([])
  })

  test('show definitions that pass the type check', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fabra-docs-'))
    const definitions = pages.flatMap((of) => blocks(of).filter(({ kind }) => kind === 'ts'))
    const files = definitions.map(({ text }, i) => {
      const file = join(folder, `features-${i}.ts`)
      writeFileSync(file, text)
      return file
    })
    const problems = await typeCheck(files)
    rmSync(folder, { recursive: true })
    expect(definitions.length).toBeGreaterThan(1)
    expect(problems).toEqual([])
  })

  test('show command lines that the command line takes', () => {
    const lines = current.flatMap(fabraLines)
    expect(lines.length).toBeGreaterThan(45)
    expect(lines.flatMap(refusals)).toEqual([])
  })

  test('are where messages send their readers', () => {
    const sources = readdirSync(join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
    const sent = sources.flatMap((file) => {
      const text = readFileSync(join(PROJECT, 'src', file), 'utf8')
      expect({ file, readme: /in the (README|documentation)/.test(text) }).toEqual({ file, readme: false })
      return [...text.matchAll(/docs\/[\w-]+\.md/g)].map(([path]) => path)
    })
    expect(sent.length).toBeGreaterThan(1)
    expect(sent.filter((path) => !existsSync(join(PROJECT, path)))).toEqual([])
  })
})

test('docs/errors.md names every error code with its HTTP status and exit code, and no other', () => {
  const rows = table(page('docs/errors.md'), 'code').map(([code, status, exit]) => [code, Number(status), Number(exit)])
  const codes = errorCodes.map((code) => {
    const error = new FabraError(code, '')
    return [`\`${code}\``, error.status, error.exitCode]
  })
  expect(rows).toEqual(codes)
})

test('docs/environment.md names every variable with its default, and no other', () => {
  const rows = table(page('docs/environment.md'), 'variable').map(([name, fallback]) => [name, fallback?.replaceAll('`', '')])
  expect(rows).toEqual(variables.map((variable) => [`\`${variable.name}\``, variable.default]))
})

test('docs/cli.md names every command, and no other, with options that it has', () => {
  const rows = table(page('docs/cli.md'), 'command')
  const names = rows.map(([command]) => command?.match(/^`fabra ([a-z-]+)/)?.[1] ?? '')
  expect(names.toSorted()).toEqual(program.commands.map((command) => command.name()).sort())
  const options = rows.flatMap(([, text = ''], i) =>
    inTicks(text).flatMap((code) => (code.startsWith('-') ? [`fabra ${names[i]} ${code}`] : [])),
  )
  expect(options.length).toBeGreaterThan(5)
  expect(options.flatMap(refusals)).toEqual([])
})

test('docs/http-api.md names every route, and no other', () => {
  const shown = routes().filter((route) => route.docs !== null)
  const paths = shown.map((route) => `\`${route.method} ${route.path.replace(/:(\w+)/g, '{$1}')}\``)
  const rows = table(page('docs/http-api.md'), 'route').map(([route]) => route ?? '')
  expect(rows.toSorted()).toEqual([...new Set(paths)].sort())
})

test('docs/training-sets.md names every option of training sets, in both doors', () => {
  const rows = table(page('docs/training-sets.md'), 'option')
  const train = program.commands.find((command) => command.name() === 'train')
  const elsewhere = ['--features', '--output', '--labels-sql', '--file', '--yes']
  const flags = (train?.options ?? []).map(({ long }) => long ?? '').filter((long) => !elsewhere.includes(long))
  expect(rows.map(([flag = '']) => /--[a-z-]+/.exec(flag)?.[0]).sort()).toEqual(flags.sort())
  for (const [flag = '', field = ''] of rows) expect(field).toBe(`\`${/--([a-z-]+)/.exec(flag)?.[1]?.replaceAll('-', '_')}\``)
})

test('docs/deploying.md names every platform, and options that deploy has', () => {
  const deploying = page('docs/deploying.md')
  expect(table(deploying, 'platform').map(([name]) => name)).toEqual(platforms.map(({ name }) => `\`${name}\``))
  const options = inTicks(deploying.text).filter((code) => code.startsWith('-'))
  expect(options.flatMap((code) => refusals(`fabra deploy ${code}`))).toEqual([])
})

test('docs/SECURITY.md names every scope', () => {
  expect(table(page('docs/SECURITY.md'), 'scope').map(([name]) => name)).toEqual(SCOPES.map((scope) => `\`${scope}\``))
})

describe('options of definitions are all told:', () => {
  const declared = readFileSync(join(PROJECT, 'src/fabra.d.ts'), 'utf8')
  const optionsOf = (...interfaces: readonly string[]) =>
    interfaces.flatMap((name) => {
      const [, body = ''] = new RegExp(`^(?:export )?interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)^\\}`, 'm').exec(declared) ?? []
      return [...body.matchAll(/^ {2}readonly (\w+)\??: (?!never)/gm)].map(([, option = '']) => option)
    })
  const words = ['description', 'owner', 'tags']

  test('docs/sources.md, those of sources', () => {
    const rows = table(page('docs/sources.md'), 'option').flatMap(([name = '']) => inTicks(name))
    expect(rows.toSorted()).toEqual([...optionsOf('SourceOptions'), ...words].sort())
  })

  test('docs/defining.md, those of features', () => {
    const rows = table(page('docs/defining.md'), 'option').flatMap(([name = '']) => inTicks(name))
    const options = optionsOf(
      'FeatureOptions',
      'ComputedOptions',
      'OneValue',
      'ManyValues',
      'SqlOptions',
      'FunctionOptions',
      'BatchOptions',
      'Described',
    )
    expect(rows.toSorted()).toEqual([...new Set(options)].sort())
  })
})

describe('docs/architecture.md', () => {
  const rows = table(page('docs/architecture.md'), 'room').map(([rooms = '', files = '', needs = '', packages = '']) => ({
    rooms: inTicks(rooms),
    files: inTicks(files),
    needs: inTicks(needs),
    packages: packages.split('. ').map((part) => inTicks(part)),
  }))

  test('shows the rooms, and who may import whom, as the import table has them', () => {
    const shown = rows.flatMap(({ rooms, needs }) => rooms.map((room) => [room, needs.toSorted()] as const))
    const held = Object.entries(MAY_IMPORT).map(([room, needs]) => [room, needs.toSorted()] as const)
    expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(held))
    expect(shown.map(([room]) => room).sort()).toEqual(ROOMS.map(([room]) => room).sort())
  })

  test('says in which room each file is', () => {
    for (const file of sourceFiles(join(PROJECT, 'src')).filter((one) => roomOf(one) !== undefined)) {
      const found = rows.find(({ files }) => files.some((one) => (one.endsWith('/') ? file.startsWith(one) : file === one)))
      expect({ file, rooms: found?.rooms.includes(roomOf(file) ?? '') }).toEqual({ file, rooms: true })
    }
  })

  test('says which room has which package', () => {
    const shown = rows.flatMap(({ packages }) => packages.flatMap(([room, ...names]) => names.map((name) => `${room}: ${name}`)))
    const held = Object.keys(packageJson.dependencies).map((name) => {
      const owner = PACKAGES.find(([pattern]) => pattern.test(name) || pattern.test(`${name}/`))?.[1]
      return `${owner}: ${name}`
    })
    expect(shown.toSorted()).toEqual(held.sort())
  })
})

test('CHANGELOG.md keeps its form', () => {
  const headings = [...page('CHANGELOG.md').text.matchAll(/^(#{2,3}) (.+)$/gm)].map(([, level = '', text = '']) => ({ level, text }))
  expect(headings[0]).toEqual({ level: '##', text: '[Unreleased]' })
  const kinds = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security']
  for (const { level, text } of headings.slice(1)) {
    if (level === '###') expect(kinds).toContain(text)
    else expect(text).toMatch(/^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/)
  }
})

/** @returns what is wrong with a line of ours. */
function refusals(line: string): readonly string[] {
  const [, ...given] = words(line)
  const names = given.filter((word) => !word.startsWith('-'))
  const command = program.commands.find((one) => one.name() === names[0])
  if (!command && names[0] !== undefined && !/[<…]/.test(names[0])) return [`${line}: there is no such command`]
  const inner = command?.commands.find((one) => one.name() === names[1])
  if (command && command.commands.length > 0 && names[1] !== undefined && !inner) return [`${line}: there is no such command`]
  const known = [command, inner].flatMap((one) => one?.options.flatMap(({ long, short }) => [long, short]) ?? [])
  return given
    .filter((word) => /^--?[a-z]/i.test(word))
    .map((word) => word.replace(/[=,].*$/, ''))
    .filter((word) => ![...known, '--json', '--help', '-h', '--version', '-V'].includes(word))
    .map((word) => `${line}: there is no ${word}`)
}

function routes(): ReturnType<typeof routeTable> {
  return routeTable({
    serving: unused,
    readiness: unused,
    metrics: unused,
    refresh: unused,
    insight: benchInsight({ now: () => 0 }),
    runs: createRuns(),
    history: unused,
    historyOfKey: unused,
    keptSince: unused,
    backup: unused,
    exportHistory: unused,
    exportRows: unused,
    ingest: { push: unused, append: unused, forget: unused },
    training: { begin: unused, beginLook: unused, computeOne: unused, computeMany: unused, report: unused, list: unused, cancel: unused },
    writeTable: unused,
    keyring: null,
    hasUi: true,
    isDevelopment: true,
    clock: { now: () => 0 },
    log: { debug: unused, info: unused, warn: unused, error: unused },
    version: '0.0.0',
  })
}

function commandLine(): Command {
  const found = new Command()
  const context = { stdout: unused, stderr: unused, json: false, color: false, cwd: PROJECT, clock: { now: () => 0 }, setExitCode: unused }
  const host = { stdout: unused, stderr: unused, cwd: PROJECT, env: {}, stdoutIsTerminal: false, stderrIsTerminal: false, onSignal: unused }
  registerCommands(found, context, host)
  return found
}

function unused(): never {
  throw new Error('Not needed to look at what there is.')
}
