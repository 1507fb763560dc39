import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join, relative, resolve } from 'node:path'
import packageJson from '../../../package.json'
import { archiveName } from '../../deploy/dockerfile.ts'
import type { Deployment, DeployOptions, Platform } from '../../deploy/platform.ts'
import { parseReplicas, platformNamed } from '../../deploy/platforms.ts'
import { resolveRegion } from '../../deploy/regions.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { deployFeatureFiles } from '../feature-files.ts'
import { appName } from './app-name.ts'
import { type DeployReport, deployAsJson, deployAsText, diffText, dryRunText } from './deploy-output.ts'
import { linuxExecutable } from './linux-executable.ts'
import { managerOf, packageManager, pathInRepository, projectEntries, projectFiles } from './project-entries.ts'
import { strayImports } from './project-imports.ts'
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
  readonly dryRun?: boolean
  readonly diff?: boolean
  readonly check?: boolean
  readonly force?: boolean
  readonly file?: readonly string[]
}

/** `fabra deploy`, by itself because of what it loads. */
export async function deploy(name: string, flags: DeployFlags, context: CliContext, host: CliProcess): Promise<void> {
  const platform = platformNamed(name)
  const folder = resolve(context.cwd, flags.output)
  const { options, own } = planOptions(platform, flags, folder, context)
  const strays = strayImports(own, { folder: context.cwd, entries: options.project })
  if (flags.check) {
    const { checkDeployment } = await import('./deploy-check.ts')
    await checkDeployment(platform.plan(options), { definitions: own, strays, platform: platform.title }, context, host)
    return
  }
  for (const { message, hint } of strays) throw new FabraError('bad_usage', message, { hint })
  const isLook = flags.dryRun === true || flags.diff === true
  const executable =
    !platform.needsImage || (isLook && !flags.executable && !flags.release)
      ? null
      : await linuxExecutable(flags, context.cwd, platform.archs)
  if (executable && !platform.archs.includes(executable.arch)) {
    throw new FabraError(
      'bad_usage',
      `${platform.title} runs ${platform.archs.join(' and ')}, and the executable is for ${executable.arch}.`,
      {
        hint: 'Give one that fits with --executable <path>, or --release <address>.',
      },
    )
  }
  const final = { ...options, arch: executable?.arch ?? options.arch }
  const plan = platform.plan(final)
  const files = deployedFiles(plan, platform, folder, context.cwd, final)
  const report = { platform, folder, cwd: context.cwd, plan, options: final, region: flags.region }
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

function packed(executable: { archive(): Uint8Array }, context: CliContext): Uint8Array {
  if (!context.json) context.stderr('Packing the executable …\n')
  return executable.archive()
}

/** The plan's files and, where the image is built elsewhere, the project's. */
function deployedFiles(plan: Deployment, platform: Platform, folder: string, cwd: string, options: DeployOptions): FileToWrite[] {
  const written = plan.files.map((file): FileToWrite => ({ path: file.path, data: file.text, mode: file.mode, ifMissing: file.ifMissing }))
  if (!platform.needsImage || folder === cwd) return written
  const planned = new Set(written.map((file) => file.path))
  return [...written.map((file) => ownFile(file, cwd)), ...projectFiles(cwd, options.project).filter((file) => !planned.has(file.path))]
}

/** The user's own requirements.txt or .dockerignore counts elsewhere, too; not the passwords. */
function ownFile(file: FileToWrite, cwd: string): FileToWrite {
  const path = join(cwd, file.path)
  return file.ifMissing && file.mode === undefined && existsSync(path) ? { ...file, data: readFileSync(path) } : file
}

function planOptions(
  platform: Platform,
  flags: DeployFlags,
  folder: string,
  context: CliContext,
): { options: DeployOptions; own: readonly string[] } {
  const { name, from } = appName(platform, flags.name, context.cwd)
  if (from !== null && !context.json) context.stderr(`Named "${name}", after ${from}; --name <name> gives it another.\n`)
  const own = deployFeatureFiles(flags.file ?? [], context.cwd)
  const options: DeployOptions = {
    name,
    region: regionFor(platform, flags.region),
    replicas: parseReplicas(platform, flags.replicas),
    definitions: own.map((file) => insideOf(context.cwd, file)),
    project: projectEntries(context.cwd, folder),
    repositoryPath: pathInRepository(folder),
    packages: packageManager(context.cwd),
    manager: managerOf(context.cwd) ?? 'npm',
    arch: platform.archs.includes('arm64') && process.arch === 'arm64' ? 'arm64' : 'x64',
    googleProject: idFor(flags.project, { platform, only: 'cloudrun', flag: '--project', pattern: /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/ }),
    awsAccount: idFor(flags.account, { platform, only: 'ecs', flag: '--account', pattern: /^\d{12}$/ }),
    version: packageJson.version,
    secret: randomSecret,
  }
  return { options, own }
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
