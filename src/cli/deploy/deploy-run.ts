import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join, relative, resolve } from 'node:path'
import packageJson from '../../../package.json'
import { type PythonSettings, pythonSettingsOf } from '../../config/python-settings.ts'
import { archiveName } from '../../deploy/dockerfile.ts'
import type { Deployment, DeployOptions, Platform } from '../../deploy/platform.ts'
import { parseReplicas, platformNamed } from '../../deploy/platforms.ts'
import { OWN_DISTRIBUTIONS } from '../../deploy/python-image.ts'
import { resolveRegion } from '../../deploy/regions.ts'
import { FabraError } from '../../errors.ts'
import { againstUrl } from '../against.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { featureFiles } from '../feature-files.ts'
import { appName } from './app-name.ts'
import { type DeployReport, deployAsJson, deployAsText, diffText, dryRunText } from './deploy-output.ts'
import { type LinuxExecutable, linuxExecutable, releasedExecutable } from './linux-executable.ts'
import { type ProjectContents, projectContents } from './project-contents.ts'
import { managerOf, packageManager, pathInRepository, releaseAddress } from './project-packages.ts'
import { declaredPackages } from './pyproject.ts'
import { type PythonCode, pythonCode } from './python-code.ts'
import { type PythonPlan, pythonPlan } from './python-project.ts'
import { randomSecret } from './secret.ts'
import { type FileToWrite, refuseDifferent, refuseUnwritable, stateOf, writeFiles } from './write-files.ts'

export interface DeployFlags {
  /** Default: that of package.json, else of the folder. */
  readonly name?: string
  readonly region?: string
  readonly output: string
  readonly replicas: string
  readonly project?: string
  readonly account?: string
  readonly executable?: string
  readonly release?: string
  /** Paths and patterns of what the image needs besides. */
  readonly include?: readonly string[]
  readonly dryRun?: boolean
  readonly diff?: boolean
  readonly check?: boolean
  readonly against?: string
  readonly force?: boolean
  readonly file?: readonly string[]
}

/** `fabra deploy`, by itself because of what it loads. */
export async function deploy(name: string, flags: DeployFlags, context: CliContext, host: CliProcess): Promise<void> {
  const platform = platformNamed(name)
  const folder = resolve(context.cwd, flags.output)
  const { options, own, contents } = await planOptions(platform, flags, folder, { context, host })
  if (flags.check) {
    const { checkDeployment } = await import('./deploy-check.ts')
    const checked = { definitions: own, contents, platform: platform.title, against: againstUrl(flags.against) }
    await checkDeployment(platform.plan(options), checked, context, host)
    return
  }
  if (flags.against !== undefined) throw new FabraError('bad_usage', '--against is for --check.', { hint: 'Add --check, or leave it out.' })
  for (const { message, hint } of contents.strays) throw new FabraError('bad_usage', message, { hint })
  const isLook = flags.dryRun === true || flags.diff === true
  const { executable, final } = await executableFor(platform, flags, options, context.cwd)
  const plan = platform.plan(final)
  const files = deployedFiles(plan, { platform, folder, cwd: context.cwd, contents })
  const report = { platform, folder, cwd: context.cwd, plan, options: final, contents, region: flags.region }
  if (isLook) {
    look(flags, { ...report, files, states: files.map((file) => stateOf(folder, file)) }, context)
    return
  }
  // Packing takes seconds: not for nothing.
  if (!flags.force) refuseDifferent(folder, files)
  refuseUnwritable(folder)
  if (executable) files.push({ path: archiveName(executable.arch), data: packed(executable, context) })
  const states = writeFiles(folder, files, { force: flags.force === true })
  tell({ ...report, files, states }, context)
}

/** That of a release where its address is known, else one that is packed beside the Dockerfile; for a look alone it need not be there. */
async function executableFor(
  platform: Platform,
  flags: DeployFlags,
  options: DeployOptions,
  cwd: string,
): Promise<{ executable: LinuxExecutable | null; final: DeployOptions }> {
  if (!platform.needsImage) return { executable: null, final: options }
  const address = flags.release ?? (flags.executable === undefined ? releaseAddress(cwd) : undefined)
  if (address !== undefined) {
    const archs = [options.arch, ...platform.archs.filter((arch) => arch !== options.arch)]
    return { executable: null, final: { ...options, ...(await releasedExecutable(address, archs)) } }
  }
  if ((flags.dryRun || flags.diff) && flags.executable === undefined) return { executable: null, final: options }
  const executable = linuxExecutable(flags.executable, cwd)
  if (!platform.archs.includes(executable.arch)) {
    throw new FabraError(
      'bad_usage',
      `${platform.title} runs ${platform.archs.join(' and ')}, and the executable is for ${executable.arch}.`,
      { hint: 'Give one that fits with --executable <path>, or --release <address>.' },
    )
  }
  return { executable, final: { ...options, arch: executable.arch } }
}

function packed(executable: LinuxExecutable, context: CliContext): Uint8Array {
  if (!context.json) context.stderr('Packing the executable …\n')
  return executable.archive()
}

interface Written {
  readonly platform: Platform
  readonly folder: string
  readonly cwd: string
  readonly contents: ProjectContents
}

/** The plan's files and, where the image is built elsewhere, the project's. */
function deployedFiles(plan: Deployment, { platform, folder, cwd, contents }: Written): FileToWrite[] {
  const written = plan.files.map((file): FileToWrite => ({ path: file.path, data: file.text, mode: file.mode, ifMissing: file.ifMissing }))
  if (!platform.needsImage || folder === cwd) return written
  const planned = new Set(written.map((file) => file.path))
  const own = contents.copied.filter((file) => !planned.has(file.path)).map(({ path }) => ({ path, data: readFileSync(join(cwd, path)) }))
  return [...written.map((file) => ownFile(file, cwd)), ...own]
}

/** The user's own requirements.txt or .dockerignore counts elsewhere, too; not the passwords. */
function ownFile(file: FileToWrite, cwd: string): FileToWrite {
  const path = join(cwd, file.path)
  return file.ifMissing && file.mode === undefined && existsSync(path) ? { ...file, data: readFileSync(path) } : file
}

async function planOptions(
  platform: Platform,
  flags: DeployFlags,
  folder: string,
  { context, host }: { context: CliContext; host: CliProcess },
): Promise<{ options: DeployOptions; own: readonly string[]; contents: ProjectContents }> {
  const { name, from } = appName(platform, flags.name, context.cwd)
  if (from !== null && !context.json) context.stderr(`Named "${name}", after ${from}; --name <name> gives it another.\n`)
  const own = featureFiles(flags.file ?? [], context.cwd)
  const given = {
    region: regionFor(platform, flags.region),
    replicas: parseReplicas(platform, flags.replicas),
    definitions: own.map((file) => insideOf(context.cwd, file)),
    packages: packageManager(context.cwd),
    googleProject: idFor(flags.project, { platform, only: 'cloudrun', flag: '--project', pattern: /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/ }),
    awsAccount: idFor(flags.account, { platform, only: 'ecs', flag: '--account', pattern: /^\d{12}$/ }),
  }
  const { declaredSources } = await import('../../app/app.ts')
  const settings = pythonSettingsOf(host.env)
  const python = await pythonOf(own, context.cwd, settings)
  const contents = projectContents({
    folder: context.cwd,
    apart: folder,
    definitions: own,
    sources: await declaredSources(own, settings),
    include: flags.include ?? [],
    python: python?.code ?? null,
  })
  const options: DeployOptions = {
    ...given,
    name,
    project: contents.entries,
    repositoryPath: pathInRepository(folder),
    python: python?.needs ?? null,
    manager: managerOf(context.cwd) ?? 'npm',
    arch: platform.archs.includes('arm64') && process.arch === 'arm64' ? 'arm64' : 'x64',
    release: null,
    version: packageJson.version,
    secret: randomSecret,
  }
  return { options, own, contents: python === null ? contents : { ...contents, strays: [...contents.strays, ...python.strays] } }
}

async function pythonOf(
  own: readonly string[],
  folder: string,
  settings: PythonSettings,
): Promise<(PythonPlan & { readonly code: PythonCode }) | null> {
  const definitions = own.filter((file) => file.endsWith('.py'))
  if (definitions.length === 0) return null
  const { inspectPython } = await import('../../app/app.ts')
  const project = await inspectPython(settings, { folder, definitions, declared: declaredPackages(folder), ours: OWN_DISTRIBUTIONS })
  return { ...pythonPlan(folder, project), code: pythonCode(folder, project) }
}

function regionFor(platform: Platform, given: string | undefined): string {
  if (platform.regions) return resolveRegion(platform.name, platform.title, platform.regions, given)
  if (given === undefined) return ''
  throw new FabraError('bad_usage', `${platform.title} has no regions.`, { hint: 'Leave --region out.' })
}

function insideOf(folder: string, file: string): string {
  const path = relative(folder, file)
  if (!path.startsWith('..') && !isAbsolute(path)) return path.replaceAll('\\', '/')
  throw new FabraError('bad_usage', `${file} is not in ${folder}, which is what goes into the image.`, {
    hint: `Run the command in the folder of your features: cd ${join(file, '..')}`,
  })
}

function idFor(given: string | undefined, rule: { platform: Platform; only: string; flag: string; pattern: RegExp }): string | null {
  if (given === undefined) return null
  if (rule.platform.name !== rule.only)
    throw new FabraError('bad_usage', `${rule.flag} is for ${rule.only}, not ${rule.platform.name}.`, { hint: 'Leave it out.' })
  if (rule.pattern.test(given)) return given
  const words = rule.only === 'ecs' ? 'It has 12 digits: aws sts get-caller-identity --query Account' : 'See "gcloud projects list".'
  throw new FabraError('bad_usage', `${rule.flag} "${given}" is no id of that kind.`, { hint: words })
}

function look(flags: DeployFlags, report: DeployReport, context: CliContext): void {
  if (context.json) context.stdout(deployAsJson(report, { written: false }))
  else context.stdout(flags.diff ? diffText(report) : dryRunText(report))
}

function tell(report: DeployReport, context: CliContext): void {
  context.stdout(context.json ? deployAsJson(report, { written: true }) : deployAsText(report))
}
