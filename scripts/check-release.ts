/** Tries a release as people would; see scripts/check-release. Ends with 1 at the first thing that does not hold. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import packageJson from '../package.json'
import { PYTHON_DISTRIBUTION } from '../src/deploy/python-name.ts'
import { temporaryFolder } from '../test/support/binary.ts'
import { freePort } from '../test/support/ports.ts'
import { until } from '../test/support/until.ts'
import { checkSignature } from './release-parts/mach-o.ts'
import { reproduce } from './release-parts/reproduce.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  /** As the release was made. */
  options: { level: { type: 'string', default: '19' } },
})
const release = resolve(positionals[0] ?? join(import.meta.dir, '../dist/release'))
const work = temporaryFolder()
const startedAt = performance.now()
const FEATURES = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at', file: './events.csv' })
export const visits = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
`

try {
  await sums()
  texts()
  await installer()
  await npm()
  python()
  await signatures()
  await arm()
  const files = reproduce({ release, work, level: flags.level })
  say(`made again in another folder, with another home, umask and time zone: ${files} files, all the same bytes`)
  console.log('The release works.')
} finally {
  rmSync(work, { recursive: true, force: true })
}

async function sums(): Promise<void> {
  command(['sha256sum', '--check', '--quiet', 'SHA256SUMS'], { cwd: release })
  const names = [...(await filesOf('linux-x64')).keys()].sort()
  say(`SHA256SUMS is right; an archive holds ${names.join(', ')}`)
}

function texts(): void {
  const folder = unpack('linux-x64')
  expectSilent(['mandoc', '-Tlint', '-Wwarning', join(folder, 'man/fabra.1')])
  expectSilent(['bash', '-n', join(folder, 'completions/fabra.bash')])
  for (const [shell, file] of [
    ['zsh', '_fabra'],
    ['fish', 'fabra.fish'],
  ] as const)
    if (Bun.which(shell)) expectSilent([shell, '-n', join(folder, 'completions', file)])
  expectSilent(['shellcheck', join(release, 'install.sh')])
  // There is one where the release was told its address.
  const formula = join(release, 'fabra.rb')
  const hasFormula = existsSync(formula)
  if (hasFormula && command(['ruby', '-c', formula]) !== 'Syntax OK') throw new Error('fabra.rb')
  const without = hasFormula ? '' : ' (made without --base, it has no formula)'
  say(`mandoc, bash, shellcheck and ruby have nothing to say of the manual page, completions, install.sh and formula${without}`)
}

/** From a server on this machine, as it will be published; then with one wrong checksum. */
async function installer(): Promise<void> {
  let wrong = false
  using server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const file = Bun.file(join(release, new URL(request.url).pathname))
      if (!wrong || !request.url.endsWith('SHA256SUMS')) return new Response(file)
      return new Response((await file.text()).replaceAll(/^\w{8}/gm, '00000000'))
    },
  })
  const run = async (home: string) => {
    const child = Bun.spawn(['dash', join(release, 'install.sh')], {
      env: { HOME: home, PATH: process.env['PATH'], FABRA_RELEASE: `http://127.0.0.1:${server.port}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [exitCode, said] = await Promise.all([child.exited, child.stderr.text()])
    return { exitCode, said: said.trim() }
  }
  const home = join(work, 'home')
  const good = await run(home)
  const version = command([join(home, '.local/bin/fabra'), 'version'])
  if (good.exitCode !== 0 || version !== packageJson.version) throw new Error(`install.sh: ${JSON.stringify(good)}`)
  say(`install.sh from loopback: ${good.said.split('\n')[1]}`)
  wrong = true
  const refused = await run(join(work, 'other'))
  const there = command(['find', work, '-path', '*other*', '-name', 'fabra'])
  if (refused.exitCode === 0 || !refused.said.includes('is not what SHA256SUMS says') || there !== '')
    throw new Error(JSON.stringify(refused))
  say(`install.sh with a wrong checksum: ${refused.said.split('\n').at(-1)}`)
}

/** Packed, and installed in a clean folder with no registry at hand. */
async function npm(): Promise<void> {
  const packed = join(work, 'packed')
  const clean = join(work, 'clean')
  for (const folder of [packed, clean]) mkdirSync(folder)
  for (const name of ['linux-x64', 'fabra']) command(['npm', 'pack', '--silent', '--pack-destination', packed, join(release, 'npm', name)])
  const tarballs = [...new Bun.Glob('*.tgz').scanSync(packed)].map((name) => join(packed, name))
  writeFileSync(join(clean, 'package.json'), '{"private":true}')
  command(['npm', 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs], { cwd: clean })
  const version = command(['npx', '--no-install', 'fabra', 'version'], { cwd: clean })
  if (version !== packageJson.version) throw new Error(`npx fabra version said ${version}`)
  // As modules and as what came before them.
  for (const load of ['import("fabra/client")', 'Promise.resolve(require("fabra/client"))'])
    command(['node', '-e', `${load}.then(({ createClient }) => createClient({ url: "http://x" }))`], { cwd: clean })
  writeFileSync(
    join(clean, 'features.ts'),
    'import { entity } from "fabra";\nexport const User = entity("User", { key: "user_id" });\nentity(1);\nvoid import("fabra/client").then(({ createClient }) => createClient({ url: 1 }));\n',
  )
  const tsc = Bun.spawnSync(
    [
      join(import.meta.dir, '../node_modules/.bin/tsc'),
      '--noEmit',
      '--strict',
      '--ignoreConfig',
      '--module',
      'nodenext',
      '--types',
      '',
      'features.ts',
    ],
    { cwd: clean },
  )
  const errors = tsc.stdout
    .toString()
    .trim()
    .split('\n')
    .filter((line) => line.includes('error'))
  if (errors.length !== 2 || !errors[0]?.startsWith('features.ts(3,') || !errors[1]?.startsWith('features.ts(4,'))
    throw new Error(`Types: ${tsc.stdout}`)
  say(`npm pack, then npm install --ignore-scripts in a clean folder: npx fabra version says ${version}, and "fabra" has types`)
}

/** In a clean environment with no index at hand. */
function python(): void {
  const environment = join(work, 'environment')
  command(['python3', '-m', 'venv', environment])
  const env = { ...process.env, PIP_NO_INDEX: '1', PIP_FIND_LINKS: join(release, 'wheels'), PIP_DISABLE_PIP_VERSION_CHECK: '1' }
  command([join(environment, 'bin/pip'), 'install', '--quiet', `${PYTHON_DISTRIBUTION}[ui]`], { env })
  const version = command([join(environment, 'bin/python'), '-m', 'fabra', 'version'])
  if (version !== packageJson.version) throw new Error(`python -m fabra version said ${version}`)
  const tools = join(import.meta.dir, '../.bun/python/bin')
  const roundTrip = (folder: string, ...fabra: string[]) =>
    command([join(environment, 'bin/python'), join(import.meta.dir, '../test/release/round_trip.py'), join(work, folder), ...fabra], {
      cwd: work,
      env: { ...process.env, FABRA_CACHE_DIR: join(work, 'cache'), UV_CACHE_DIR: join(work, 'uv'), UV_PYTHON_DOWNLOADS: 'never' },
    })
  const byPip = roundTrip('by-pip', join(environment, 'bin/fabra'))
  const from = ['--offline', '--no-index', '--find-links', join(release, 'wheels'), '--from', `${PYTHON_DISTRIBUTION}[ui]`]
  const runner = join(tools, 'uvx')
  const byRunner = roundTrip('by-runner', runner, ...from, 'fabra')
  say(`installed with no index, fabra serve features.py and the client: ${byPip}; the same run by ${runner}: ${byRunner}`)
  const ours = [...new Bun.Glob(`${PYTHON_DISTRIBUTION.replaceAll('-', '_')}-*.whl`).scanSync(join(release, 'wheels'))].map((name) =>
    join(release, 'wheels', name),
  )
  const largest = Math.max(...ours.map((path) => Bun.file(path).size))
  if (largest >= 100_000_000) throw new Error(`A wheel has ${largest} bytes; the index takes less than 100 MB.`)
  for (const words of [['twine', 'check', '--strict'], ['check-wheel-contents']])
    command([join(tools, words[0] ?? ''), ...words.slice(1), ...ours])
  say(
    `the wheel, where no index is reached: python -m fabra version says ${version}; twine and check-wheel-contents take ${ours.length} wheels`,
  )
}

async function signatures(): Promise<void> {
  for (const cpu of ['x64', 'arm64']) {
    const executable = (await filesOf(`darwin-${cpu}`)).get('fabra')
    const report = checkSignature(Buffer.from((await executable?.bytes()) ?? []))
    if (report.cpu !== cpu || report.badPages > 0 || report.unsignedBytes > 0 || !report.isAdHoc)
      throw new Error(`darwin-${cpu}: ${JSON.stringify(report)}`)
    say(`darwin-${cpu}: ${report.pages} signed pages, ${report.badPages} wrong, ad-hoc signature`)
  }
}

/** With Debian's libraries for arm64, without a machine of that kind. */
async function arm(): Promise<void> {
  const root = join(work, 'arm64')
  const debs = join(work, 'debs')
  for (const folder of [root, debs]) mkdirSync(folder, { mode: 0o777 })
  armPackages(debs)
  for (const deb of new Bun.Glob('*.deb').scanSync(debs)) command(['dpkg-deb', '--extract', join(debs, deb), root])
  const folder = unpack('linux-arm64')
  const project = join(work, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'features.ts'), FEATURES)
  writeFileSync(join(project, 'events.csv'), 'user_id,created_at\nu1,2026-01-01T00:00:00Z\nu1,2026-01-02T00:00:00Z\n')
  const port = await freePort()
  const child = Bun.spawn(['qemu-aarch64-static', '-L', root, join(folder, 'fabra'), 'serve', '--port', String(port)], {
    cwd: project,
    env: { ...process.env, FABRA_CACHE_DIR: join(work, 'cache') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  try {
    const answer = await until('the first feature', 240_000, async () => {
      if (child.exitCode !== null)
        throw new Error(`It ended with ${child.exitCode}.\n${await child.stdout.text()}${await child.stderr.text()}`)
      const response = await fetch(`http://127.0.0.1:${port}/v1/features/visits?entity_id=u1`, {
        signal: AbortSignal.timeout(20_000),
      }).catch(() => null)
      return response?.ok ? ((await response.json()) as { value: unknown }) : undefined
    })
    if (answer.value !== 2) throw new Error(`linux-arm64 serves ${JSON.stringify(answer)}`)
    say(`linux-arm64 under qemu serves ${JSON.stringify(answer)}`)
  } finally {
    child.kill('SIGKILL')
    await child.exited
  }
}

/** Libraries for another processor, fetched with a list of packages of its own: the machine's is left alone. */
function armPackages(folder: string): void {
  const apt = join(work, 'apt')
  for (const name of ['lists/partial', 'archives/partial', 'etc']) mkdirSync(join(apt, name), { recursive: true, mode: 0o777 })
  cpSync('/etc/apt', join(apt, 'etc'), { recursive: true })
  writeFileSync(join(apt, 'status'), '')
  const options = [
    'APT::Architecture=arm64',
    'APT::Architectures=arm64',
    `Dir::State=${apt}`,
    `Dir::State::lists=${apt}/lists`,
    `Dir::State::status=${apt}/status`,
    `Dir::Cache=${apt}`,
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option])
  command(['apt-get', ...options, 'update', '-qq'], { cwd: folder })
  command(['apt-get', ...options, 'download', '-qq', 'libc6', 'libstdc++6', 'libgcc-s1'], { cwd: folder })
}

function archiveOf(target: string): string {
  return join(release, `fabra-v${packageJson.version}-${target}.tar.gz`)
}

async function filesOf(target: string): Promise<Map<string, File>> {
  return new Bun.Archive(readFileSync(archiveOf(target))).files()
}

function unpack(target: string): string {
  const folder = join(work, target)
  mkdirSync(folder, { recursive: true })
  command(['tar', '-xzf', archiveOf(target), '-C', folder])
  return folder
}

function expectSilent(words: readonly string[]): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...words])
  if (exitCode !== 0 || stdout.length + stderr.length > 0) throw new Error(`${words.join(' ')}:\n${stdout}${stderr}`)
}

function command(
  words: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string | undefined>> } = {},
): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...words], options)
  if (exitCode !== 0) throw new Error(`${words.join(' ')} ended with ${exitCode}.\n${stdout}${stderr}`)
  return stdout.toString().trim()
}

function say(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${text}`)
}
