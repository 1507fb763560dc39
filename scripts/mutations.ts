/**
 * Tests the tests: puts one mistake at a time into a copy of the source and asks whether the suite that should notice does. The mistakes are in
 * scripts/mutations. `bun scripts/mutations.ts` tries all of them, which takes most of an hour, `bun scripts/mutations.ts serving` one file of them,
 * and further words those with these words in their name or suite. `--some 12` tries that many of them, others with each commit.
 * FABRA_TEST_RUNS: how many random cases each suite tries (400). Exit 1 when one is not noticed.
 */
import { readdirSync } from 'node:fs'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Mutation } from './mutations/mutation.ts'

const ORACLE = 'test/compute/oracle.test.ts'

/** Longest time of one suite; whole, they take a few seconds each, the oracle's a minute, and on a busy machine much more. */
const SUITE_MS = 600_000
/** After it a suite with a mistake in it is taken for one that does not end any more, unless it took a third of that without. */
const LEAST_MS = 60_000
const TEST_MS = 60_000
const PROJECT = join(import.meta.dir, '..')
const { values: flags, positionals } = parseArgs({ allowPositionals: true, options: { some: { type: 'string' } } })
const named = (await allMutations()).filter(({ name, suite = ORACLE }) => positionals.every((word) => `${name} ${suite}`.includes(word)))
const wanted = flags.some === undefined ? named : someOf(named, Number(flags.some))
if (wanted.length === 0) {
  console.error(`No mistake is called that.`)
  process.exit(2)
}
const missed: string[] = []

const copy = await mkdtemp(join(tmpdir(), 'fabra-mutations-'))
try {
  for (const entry of ['src', 'test', 'package.json', 'tsconfig.json', 'bunfig.toml']) {
    await cp(join(PROJECT, entry), join(copy, entry), { recursive: true })
  }
  await symlink(join(PROJECT, 'node_modules'), join(copy, 'node_modules'))
  const limits = new Map<string, number>()
  for (const suite of new Set(wanted.map(({ suite = ORACLE }) => suite))) {
    const started = performance.now()
    if ((await runSuite(suite, SUITE_MS)) !== 0)
      throw new Error(`${suite} fails with the source as it is: there is nothing to compare with.`)
    limits.set(suite, Math.max(LEAST_MS, Math.ceil(3 * (performance.now() - started))))
  }
  for (const mutation of wanted) {
    const undo = await apply(mutation)
    if (!undo) {
      console.log(`STALE    ${mutation.name}: the source no longer holds what is to be changed`)
      missed.push(mutation.name)
      continue
    }
    const started = performance.now()
    const suite = mutation.suite ?? ORACLE
    const noticed = (await runSuite(suite, limits.get(suite) ?? SUITE_MS)) !== 0
    console.log(`${noticed ? 'noticed' : 'MISSED '}  ${mutation.name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
    if (!noticed) missed.push(mutation.name)
    await undo()
  }
} finally {
  await rm(copy, { recursive: true, force: true })
}
console.log(`${wanted.length - missed.length} of ${wanted.length} mistakes noticed`)
process.exitCode = missed.length === 0 ? 0 : 1

/** @returns how to take it back; null when the source no longer holds what is to be changed. */
async function apply({ changes }: Mutation): Promise<(() => Promise<void>) | null> {
  if (!(await Promise.all(changes.map(holds))).every(Boolean)) return null
  const before = new Map<string, string>()
  for (const { file, from, to } of changes) {
    const path = join(copy, file)
    const text = await Bun.file(path).text()
    if (!before.has(path)) before.set(path, text)
    await Bun.write(
      path,
      text.replaceAll(from, () => to),
    )
  }
  return async () => {
    for (const [path, text] of before) await Bun.write(path, text)
  }
}

async function holds({ file, from }: Mutation['changes'][number]): Promise<boolean> {
  const found = Bun.file(join(copy, file))
  return (await found.exists()) && (await found.text()).includes(from)
}

async function runSuite(suite: string, limitMs: number): Promise<number> {
  const env = { FABRA_TEST_RUNS: '400', ...process.env, FABRA_TEST_SEED: '20260110', FABRA_TEST_SHRINK: '0' }
  const child = Bun.spawn([process.execPath, 'test', `--timeout=${TEST_MS}`, suite], {
    cwd: copy,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: limitMs,
    killSignal: 'SIGKILL',
  })
  const said = await new Response(child.stderr).text()
  const code = await child.exited
  // A suite that does not end any more is red.
  if (child.signalCode === 'SIGKILL') return 1
  // A copy that does not even start has not noticed anything.
  if (code !== 0 && !/^\(fail\) (?!\(unnamed\))/m.test(said)) throw new Error(`The suite did not run:\n${said.slice(-2_000)}`)
  return code
}

/** Those whose turn it is with this commit, from all over the list. */
function someOf(all: readonly Mutation[], count: number): readonly Mutation[] {
  const commit = Bun.spawnSync(['git', 'rev-parse', 'HEAD'], { cwd: PROJECT }).stdout.toString().trim()
  console.log(`${count} of ${all.length} mistakes, those of commit ${commit.slice(0, 12)}`)
  const turn = (name: string) => Bun.hash(`${commit} ${name}`)
  return all.toSorted((a, b) => (turn(a.name) < turn(b.name) ? -1 : 1)).slice(0, count)
}

/** Those of all files, each with the file's name before its own. */
async function allMutations(): Promise<Mutation[]> {
  const folder = join(import.meta.dir, 'mutations')
  const all: Mutation[] = []
  for (const file of readdirSync(folder).sort()) {
    if (file === 'mutation.ts') continue
    const { mutations } = (await import(join(folder, file))) as { mutations: readonly Mutation[] }
    all.push(...mutations.map((mutation) => ({ ...mutation, name: `${basename(file, '.ts')}: ${mutation.name}` })))
  }
  return all
}
