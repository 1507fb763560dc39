import type { DeployOptions, Platform } from '../../src/deploy/platform.ts'
import { platforms } from '../../src/deploy/platforms.ts'
import type { PythonNeeds } from '../../src/deploy/python-image.ts'

/** What a user with one features file gets, unless a test says otherwise. */
export function deployOptions(platform: Platform, other: Partial<DeployOptions> = {}): DeployOptions {
  return {
    name: 'my-features',
    region: platform.regions?.fallback ?? '',
    replicas: 1,
    definitions: ['features.ts'],
    project: { files: ['features.ts', 'lib/money.ts', 'package.json'], folders: ['data/events'] },
    repositoryPath: '',
    packages: null,
    python: null,
    manager: 'npm',
    arch: 'x64',
    release: null,
    googleProject: null,
    awsAccount: null,
    version: '1.2.3',
    secret: () => 'not-so-secret',
    ...other,
  }
}

export const PYTHON: PythonNeeds = {
  version: '3.13',
  paths: [],
  packages: { from: 'requirements', files: ['requirements.txt', 'more/base.txt'], text: 'pandas==2.2.3\n' },
}

export function platformOf(name: string): Platform {
  const found = platforms.find((platform) => platform.name === name)
  if (!found) throw new Error(`No platform ${name}.`)
  return found
}

/** The options that tests try every platform with: each region, few and many replicas, names at the edges of the rule, packages, Python. */
export function optionsToTry(platform: Platform): DeployOptions[] {
  const base = deployOptions(platform)
  return [
    base,
    ...(platform.regions?.all ?? []).map((region) => ({ ...base, region })),
    ...namesAtTheLimits(platform).map((name) => ({ ...base, name })),
    { ...base, name: 'on' },
    { ...base, name: 'null' },
    { ...base, name: `a${'-1'.repeat(15)}` },
    { ...base, replicas: platform.maxReplicas },
    {
      ...base,
      definitions: ['fraud "team".ts', 'lib/ümlaut: {x}.ts'],
      project: { files: ['fraud "team".ts', 'a [b]*/c d.ts'], folders: ["it's $HOME"] },
    },
    { ...base, googleProject: 'acme-prod-1', awsAccount: '123456789012' },
    ...(['npm', 'yarn', 'pnpm', 'bun'] as const).map((packages) => ({ ...base, packages, manager: packages })),
    { ...base, definitions: ['features.py'], python: PYTHON },
    { ...base, definitions: ['features.py'], python: { version: '3.12', paths: ['src', ''], packages: { from: 'uv' } } },
    { ...base, repositoryPath: 'services/my features' },
    { ...base, release: { url: 'https://releases.example/v1/fabra-v1.2.3-linux-x64.tar.gz', sha256: 'ab'.repeat(32) } },
  ]
}

function namesAtTheLimits({ nameRule }: Platform): string[] {
  const allowed = Array.from({ length: 100 }, (_, i) => 'a'.repeat(i + 1)).filter((name) => nameRule.pattern.test(name))
  return [allowed[0], allowed.at(-1)].filter((name) => name !== undefined)
}

export function fileOf(platform: Platform, options: DeployOptions, path: string): string {
  const file = platform.plan(options).files.find((candidate) => candidate.path === path)
  if (!file) throw new Error(`${platform.name} writes no ${path}.`)
  return file.text
}
