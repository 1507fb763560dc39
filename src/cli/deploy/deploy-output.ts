/** What `fabra deploy` prints. */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { createTwoFilesPatch } from 'diff'
import { archiveName } from '../../deploy/dockerfile.ts'
import type { Deployment, DeployOptions, Platform } from '../../deploy/platform.ts'
import { imageAsJson, imageAsText } from './image-output.ts'
import type { ProjectContents } from './project-contents.ts'
import { isInRepository } from './project-packages.ts'
import type { FileState, FileToWrite } from './write-files.ts'

export interface DeployReport {
  readonly platform: Platform
  readonly folder: string
  readonly cwd: string
  readonly plan: Deployment
  readonly options: DeployOptions
  readonly contents: ProjectContents
  /** As the user wrote it. */
  readonly region: string | undefined
  readonly files: readonly FileToWrite[]
  /** What each file met. */
  readonly states: readonly FileState[]
}

const DONE: Readonly<Record<FileState, string>> = { new: 'written', different: 'replaced', unchanged: 'unchanged', kept: 'kept' }

export function deployAsText(report: DeployReport): string {
  const { platform, options, folder, files, states } = report
  const changes = (Object.keys(DONE) as FileState[]).flatMap((state) => {
    const paths = files.filter((_, i) => states[i] === state).map((file) => `  ${file.path}`)
    return paths.length === 0 ? [] : [`${DONE[state].charAt(0).toUpperCase()}${DONE[state].slice(1)}:`, ...paths]
  })
  const location = options.region === '' ? '' : ` in ${options.region}`
  const where = relative(report.cwd, folder)
  const enter = where === '' ? [] : [`  cd ${where}`]
  return `${options.name} on ${platform.title}${location}\n\n${changes.join('\n')}\n\n${platform.needsImage ? `${imageAsText(report.contents)}\n` : ''}${notes(report)}Next:\n${[...enter, ...stepLines(report.plan)].join('\n')}\n`
}

/** Each file under its name, then what to do. */
export function dryRunText(report: DeployReport): string {
  const shown = report.files.filter((file) => report.plan.files.some((planned) => planned.path === file.path))
  const image = report.platform.needsImage ? `\n==> image <==\n${imageAsText(report.contents)}` : ''
  const files = shown.map((file) => `==> ${file.path} <==\n${hidden(file)}`)
  return `${files.join('\n')}${image}\n==> next <==\n${stepLines(report.plan).join('\n')}\n`
}

export function diffText({ folder, files, states }: DeployReport): string {
  const patches = files.flatMap((file, i) => {
    if (states[i] === 'unchanged' || states[i] === 'kept') return []
    const old = states[i] === 'different' ? readFileSync(join(folder, file.path), 'utf8') : ''
    return [createTwoFilesPatch(states[i] === 'new' ? '/dev/null' : file.path, file.path, old, hidden(file))]
  })
  return patches.length === 0 ? 'Nothing would change.\n' : patches.join('')
}

export function deployAsJson(report: DeployReport, { written }: { readonly written: boolean }): string {
  const { platform, options, folder, plan, files, states, contents } = report
  const listed = files.map((file, i) => ({
    path: file.path,
    state: written ? DONE[states[i] ?? 'new'] : (states[i] ?? 'new'),
    ...(written ? {} : { text: hidden(file) }),
  }))
  return `${JSON.stringify({ platform: platform.name, name: options.name, region: options.region || null, replicas: options.replicas, directory: folder, files: listed, image: platform.needsImage ? imageAsJson(contents) : null, next: plan.next })}\n`
}

/** Generated passwords are written, never printed. */
function hidden(file: FileToWrite): string {
  const text = typeof file.data === 'string' ? file.data : new TextDecoder().decode(file.data)
  return file.mode === 0o600 ? text.replaceAll(/^(\w+)=.*$/gm, '$1=(generated)') : text
}

function stepLines(plan: Deployment): string[] {
  return plan.next.flatMap(({ why, command }) => [`  # ${why}`, `  ${command}`])
}

function notes({ platform, options, region, folder, files, states, contents }: DeployReport): string {
  const lines: string[] = []
  if (region !== undefined && region.trim().toLowerCase() !== options.region)
    lines.push(`"${region}" is ${options.region} on ${platform.title}.`)
  const kept = files.filter((_, i) => states[i] === 'kept').map((file) => file.path)
  const archive = archiveName(options.arch)
  if (kept.includes('.dockerignore') && options.release === null && contents.reason(archive) === '.dockerignore')
    lines.push(`Your .dockerignore keeps ${archive} out of the image, which cannot be built then: add the line !${archive} to it.`)
  if (
    options.release === null &&
    platform.name !== 'render' &&
    isInRepository(folder) &&
    contents.reason(archive) === null &&
    platform.needsImage
  )
    lines.push(`${archive} is too large for git: add it to .gitignore. With --release there is no such file.`)
  if (kept.includes('.env')) lines.push('Your .env was kept. It must set POSTGRES_PASSWORD and REDIS_PASSWORD.')
  return lines.length === 0 ? '' : `${lines.join('\n')}\n\n`
}
