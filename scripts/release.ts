/** Everything people install Fabra from. The same input gives the same bytes: nothing written holds a time or a path of this machine. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Command } from 'commander'
import packageJson from '../package.json'
import { registerCommands } from '../src/cli/commands/index.ts'
import { completionScript, manualPage } from '../src/cli/completion.ts'
import { type TarEntry, tarGz } from '../src/cli/deploy/tar.ts'
import { variables } from '../src/config/config.ts'
import { buildExecutable } from './executable.ts'
import { billOfMaterials, bundledDependencies, noticesText } from './release-parts/dependencies.ts'
import { documentation } from './release-parts/documentation.ts'
import { type Archive, formula } from './release-parts/formula.ts'
import { signAdHoc } from './release-parts/mach-o.ts'
import { writeNpmPackages } from './release-parts/npm.ts'
import { installTargets, type Target, targets } from './release-parts/targets.ts'
import { writeWheels } from './release-parts/wheels.ts'

const PROJECT = join(import.meta.dir, '..')

const { values: flags } = parseArgs({
  options: {
    out: { type: 'string', default: join(PROJECT, 'dist/release') },
    /** Where the files will be found: written into install.sh and the formula. */
    base: { type: 'string' },
    only: { type: 'string' },
    level: { type: 'string', default: '19' },
    /** Of the Python distribution, for those who publish it under a name of their own. */
    'python-name': { type: 'string' },
  },
})

const out = resolve(flags.out)
const wanted = flags.only?.split(',') ?? targets.map((target) => target.name)
const unknown = wanted.filter((name) => !targets.some((target) => target.name === name))
if (unknown.length > 0) throw new Error(`No target ${unknown.join(', ')}. There are ${targets.map((target) => target.name).join(', ')}.`)

rmSync(out, { recursive: true, force: true })
mkdirSync(join(out, 'executables'), { recursive: true })
installTargets()
const dependencies = await bundledDependencies()
const shared = sharedEntries()
const built: { target: Target; executable: string }[] = []
const archives: Archive[] = []
for (const target of targets.filter(({ name }) => wanted.includes(name))) {
  const startedAt = performance.now()
  const executable = join(out, 'executables', target.name, 'fabra')
  await buildExecutable({ outfile: executable, level: Number(flags.level), target })
  // Bun signs only what is for Apple's own processors.
  if (target.name === 'darwin-x64') writeFileSync(executable, signAdHoc(readFileSync(executable), 'fabra'))
  built.push({ target, executable })
  archives.push(writeArchive(target, executable))
  console.error(`${target.name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
}
await writeNpmPackages(join(out, 'npm'), built)
const wheels = writeWheels(join(out, 'wheels'), built, {
  ...(flags['python-name'] === undefined ? {} : { name: flags['python-name'] }),
  level: Number(flags.level) < 19 ? 1 : 9,
  notices: noticesText(dependencies),
})
write('fabra.cdx.json', billOfMaterials(dependencies, packageJson.version))
const base = flags.base?.replace(/\/+$/, '')
write('install.sh', readFileSync(join(PROJECT, 'install.sh'), 'utf8').replace('@RELEASE@', base ?? '@RELEASE@'))
if (base !== undefined) write('fabra.rb', formula(archives, base))
const summed = [
  ...archives.map((archive) => archive.name),
  ...wheels.map((name) => `wheels/${name}`),
  'fabra.cdx.json',
  'install.sh',
].sort()
write('SHA256SUMS', summed.map((name) => `${sha256(readFileSync(join(out, name)))}  ${name}\n`).join(''))
rmSync(join(out, 'executables'), { recursive: true })
console.error(`Wrote ${out}.${base === undefined ? ' Without --base there is no formula, and install.sh must be told its address.' : ''}`)

function writeArchive(target: Target, executable: string): Archive {
  const name = `fabra-v${packageJson.version}-${target.name}.tar.gz`
  const bytes = tarGz([{ name: 'fabra', data: readFileSync(executable), mode: 0o755 }, ...shared])
  write(name, bytes)
  return { target: target.name, name, sha256: sha256(bytes) }
}

/** What every archive holds besides the executable. */
function sharedEntries(): TarEntry[] {
  const program = commandLine()
  const texts = {
    LICENSE: readFileSync(join(PROJECT, 'LICENSE'), 'utf8'),
    'THIRD-PARTY-NOTICES': noticesText(dependencies),
    ...documentation(PROJECT),
    'completions/fabra.bash': completionScript('bash', program),
    'completions/_fabra': completionScript('zsh', program),
    'completions/fabra.fish': completionScript('fish', program),
    'man/fabra.1': manualPage(program, { version: packageJson.version, variables }),
  }
  return Object.entries(texts).map(([name, text]) => ({ name, data: new TextEncoder().encode(text), mode: 0o644 }))
}

/** The commands as they are declared; none is run. */
function commandLine(): Command {
  const unused = () => {
    throw new Error('Not needed to look at what there is.')
  }
  const program = new Command('fabra').description(packageJson.description)
  const context = { stdout: unused, stderr: unused, json: false, color: false, cwd: PROJECT, clock: { now: () => 0 }, setExitCode: unused }
  registerCommands(program, context, {
    stdout: unused,
    stderr: unused,
    cwd: PROJECT,
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    onSignal: unused,
  })
  return program
}

function write(name: string, data: string | Uint8Array): void {
  writeFileSync(join(out, name), data)
  chmodSync(join(out, name), 0o644)
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex')
}
