/** What of a project never goes into an image, or only when it is asked for by name. */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import dockerIgnore from '@balena/dockerignore'
import gitIgnore, { type Ignore } from 'ignore'
import { topOfRepository } from './project-packages.ts'

/** The last two are the names of the files that say so. What `.gitignore` names may be asked for; the others never go in. */
export type KeptOut = 'hidden' | 'secret' | 'local' | 'installed' | '.dockerignore' | '.gitignore'

export interface KeptOutRules {
  /** @param path Of a file, relative to the project, with forward slashes. @returns why it stays out; null: nothing is against it. */
  reason(path: string): KeptOut | null
}

/** Made again elsewhere. */
const INSTALLED = new Set(['node_modules', '__pycache__', 'venv'])
const SECRETS = [
  /\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|env)$/i,
  /^id_(rsa|dsa|ecdsa|ed25519)/i,
  /^(credentials?|secrets?|client[_-]secret.*|service[_-]account.*)(\.[\w-]+)?$/i,
]
/** What this machine's own programs write while they run. */
const LOCAL = /\.(log|duckdb|wal)$/i
const CODE = /\.([mc]?[jt]s|[jt]sx|py)$/i

/** By its name alone, a folder's or a file's: true for all below it. */
export function neverGoesIn(name: string): 'hidden' | 'installed' | null {
  return name.startsWith('.') ? 'hidden' : INSTALLED.has(name) ? 'installed' : null
}

export function keptOutRules(folder: string): KeptOutRules {
  const docker = dockerRules(folder)
  const isGitIgnored = gitRules(folder)
  return {
    reason(path) {
      const parts = path.split('/')
      for (const part of parts) {
        const never = neverGoesIn(part)
        if (never !== null) return never
      }
      const name = parts.at(-1) ?? ''
      if (LOCAL.test(name)) return 'local'
      if (isSecret(name)) return 'secret'
      if (docker(path)) return '.dockerignore'
      return isGitIgnored(path) ? '.gitignore' : null
    },
  }
}

function isSecret(name: string): boolean {
  return !CODE.test(name) && SECRETS.some((pattern) => pattern.test(name))
}

/** Docker's patterns begin at the top and may take back what another has left out; git's do neither. */
function dockerRules(folder: string): (path: string) => boolean {
  const text = textOf(join(folder, '.dockerignore'))
  if (text === null) return () => false
  const rules = dockerIgnore({ ignorecase: false }).add(text)
  return (path) => rules.ignores(path)
}

/** As git reads them: those of the folder, of the folders below, and of those above it in the same repository. */
function gitRules(folder: string): (path: string) => boolean {
  const top = topOfRepository(folder) ?? folder
  const above = relative(top, folder).replaceAll('\\', '/')
  const known = new Map<string, Ignore | null>()
  const rulesIn = (location: string): Ignore | null => {
    const found = known.get(location)
    if (found !== undefined) return found
    const texts = [location === '' ? textOf(join(top, '.git/info/exclude')) : null, textOf(join(top, location, '.gitignore'))]
    const text = texts.filter((one) => one !== null).join('\n')
    const rules = text === '' ? null : gitIgnore({ ignorecase: false }).add(text)
    known.set(location, rules)
    return rules
  }
  // The rules that are nearest to a path decide.
  const judged = (path: string, end = ''): boolean => {
    const parts = path.split('/')
    for (let depth = parts.length - 1; depth >= 0; depth--) {
      const verdict = rulesIn(parts.slice(0, depth).join('/'))?.test(`${parts.slice(depth).join('/')}${end}`)
      if (verdict?.ignored || verdict?.unignored) return verdict.ignored
    }
    return false
  }
  const folders = new Map<string, boolean>()
  const isFolderIgnored = (path: string): boolean => {
    if (path === '.' || path === '') return false
    const found = folders.get(path)
    if (found !== undefined) return found
    // What lies in a folder that is ignored cannot be taken back.
    const isIgnored = isFolderIgnored(dirname(path)) || judged(path, '/')
    folders.set(path, isIgnored)
    return isIgnored
  }
  return (path) => {
    const whole = above === '' ? path : `${above}/${path}`
    return isFolderIgnored(dirname(whole)) || judged(whole)
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
