/** What pyproject.toml and uv.lock say of the packages that a project needs. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { FabraError } from '../../errors.ts'

interface Pyproject {
  readonly project?: { readonly dependencies?: unknown }
  readonly tool?: { readonly poetry?: { readonly dependencies?: object } }
}

interface LockedPackage {
  readonly name: string
  readonly source?: { readonly virtual?: string; readonly editable?: string }
  readonly dependencies?: readonly LockedDependency[]
  readonly 'optional-dependencies'?: Readonly<Record<string, readonly LockedDependency[]>>
}

interface LockedDependency {
  readonly name: string
  readonly extra?: readonly string[]
}

/** Names that pyproject.toml says are needed, without their versions. */
export function declaredPackages(folder: string): string[] {
  const path = join(folder, 'pyproject.toml')
  if (!existsSync(path)) return []
  const { project, tool } = tomlOf(path) as Pyproject
  const lines = Array.isArray(project?.dependencies) ? project.dependencies.filter((line) => typeof line === 'string') : []
  const poetry = Object.keys(tool?.poetry?.dependencies ?? {}).filter((name) => name !== 'python')
  return [...lines.flatMap((line) => /^\s*([A-Za-z0-9][\w.-]*)/.exec(line)?.[1] ?? []), ...poetry]
}

/** What uv installs for the project itself, without its groups for development; null where it has no lock file. Names as indexes write them. */
export function lockedPackages(folder: string): ReadonlySet<string> | null {
  const path = join(folder, 'uv.lock')
  if (!existsSync(path) || !existsSync(join(folder, 'pyproject.toml'))) return null
  const packages = (tomlOf(path) as { package?: readonly LockedPackage[] }).package ?? []
  const byName = Map.groupBy(packages, ({ name }) => name)
  const found = new Set<string>()
  const waiting = packages
    .filter(({ source }) => source?.virtual === '.' || source?.editable === '.')
    .flatMap(({ dependencies }) => dependencies ?? [])
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { name, extra = [] } = next
    const news = [name, ...extra.map((one) => `${name}[${one}]`)].filter((one) => !found.has(one))
    for (const one of news) found.add(one)
    if (news.length === 0) continue
    for (const locked of byName.get(name) ?? []) {
      waiting.push(...(locked.dependencies ?? []), ...extra.flatMap((one) => locked['optional-dependencies']?.[one] ?? []))
    }
  }
  return found
}

function tomlOf(path: string): object {
  try {
    return Bun.TOML.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new FabraError('bad_usage', `${path} is not TOML.`, { cause, hint: 'Correct it.' })
  }
}
