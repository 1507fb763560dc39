import { exec } from './exec-form.ts'
import {
  type Arch,
  type DeployFile,
  type DeployOptions,
  EXECUTABLE,
  type PackageManager,
  PORT,
  type ProjectEntries,
  type ReleaseArchive,
  serveArguments,
} from './platform.ts'
import { pythonBase, pythonCopies, pythonStage } from './python-image.ts'
import { comment } from './text.ts'

/** Not root, in every base: the number is what distroless calls "nonroot". */
export const USER = '65532:65532'
const HOME = '/home/nonroot'

/** Holds /usr/local/bin/fabra and nothing else; written beside the Dockerfile. */
export function archiveName(arch: Arch): string {
  return `fabra-linux-${arch}.tar.gz`
}

interface Installer {
  readonly image: string
  readonly files: readonly string[]
  readonly environment?: string
  readonly command: readonly string[]
}

const INSTALLERS: Readonly<Record<PackageManager, Installer>> = {
  npm: {
    image: 'docker.io/library/node:24-bookworm-slim',
    files: ['package.json', 'package-lock.json'],
    command: ['npm', 'ci', '--omit=dev'],
  },
  yarn: {
    image: 'docker.io/library/node:24-bookworm-slim',
    files: ['package.json', 'yarn.lock'],
    // Both the old yarn and the new one keep to the lock file then, and make the folder that is copied.
    environment: 'CI=1 YARN_NODE_LINKER=node-modules',
    command: ['corepack', 'yarn', 'install'],
  },
  pnpm: {
    image: 'docker.io/library/node:24-bookworm-slim',
    files: ['package.json', 'pnpm-lock.yaml'],
    command: ['corepack', 'pnpm', 'install', '--frozen-lockfile', '--prod', '--node-linker=hoisted'],
  },
  bun: {
    image: 'docker.io/oven/bun:1-slim',
    files: ['package.json', 'bun.lock'],
    command: ['bun', 'install', '--frozen-lockfile', '--production'],
  },
}

/** For a machine that is no image. */
export function installCommand(packages: PackageManager): string {
  const { environment, command } = INSTALLERS[packages]
  return [...(environment ? ['env', environment] : []), ...command].join(' ')
}

export interface ImageNeeds {
  /** Where nothing else makes /tmp writable while the root file system is read-only. */
  readonly temporaryVolume: boolean
}

/** Dockerfile, .dockerignore and, for Python, requirements.txt: the same for every platform, so that one folder can serve several. */
export function imageFiles(options: DeployOptions, needs: ImageNeeds = { temporaryVolume: false }): DeployFile[] {
  const packages = options.python?.packages
  return [
    { path: 'Dockerfile', text: dockerfile(options, needs) },
    { path: '.dockerignore', text: ignored(), ifMissing: true },
    ...(packages?.from === 'requirements' ? [{ path: 'requirements.txt', text: packages.text, ifMissing: true }] : []),
  ]
}

function dockerfile(options: DeployOptions, needs: ImageNeeds): string {
  const { python } = options
  const installer = options.packages === null ? null : INSTALLERS[options.packages]
  const lines = [
    ...(python === null ? ['FROM gcr.io/distroless/cc-debian12:nonroot'] : pythonBase(python, HOME)),
    `LABEL org.opencontainers.image.title=${JSON.stringify(options.name)} org.opencontainers.image.version=${JSON.stringify(options.version)}`,
    options.release === null
      ? `ADD ${exec([archiveName(options.arch), '/usr/local/bin/'])}`
      : `COPY --from=executable ${exec([EXECUTABLE, EXECUTABLE])}`,
    `ENV FABRA_ENV=production FABRA_CACHE_DIR=${HOME}/.cache/fabra FABRA_DATA_DIR=/tmp/fabra`,
    `USER ${USER}`,
    '# Unpacks what the executable carries now, so that the root file system can be read-only.',
    `RUN ${exec([EXECUTABLE, 'version', '--unpack'])}`,
    'WORKDIR /app',
    ...(installer === null ? [] : [`COPY --from=packages ${exec(['/app/node_modules', './node_modules'])}`]),
    ...(python === null ? [] : pythonCopies(python)),
    ...copies(options.project).map((words) => `COPY --chown=${USER} ${exec(words)}`),
    ...(needs.temporaryVolume ? ['VOLUME /tmp'] : []),
    `EXPOSE ${PORT}`,
    `HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ${exec([EXECUTABLE, 'healthcheck'])}`,
    'STOPSIGNAL SIGTERM',
    `ENTRYPOINT ${exec([EXECUTABLE])}`,
    `CMD ${exec(serveArguments(options))}`,
  ]
  const stage = python === null ? null : pythonStage(python)
  const stages = [
    ...(options.release === null ? [] : [executableStage(options.release)]),
    ...(installer === null ? [] : [packagesStage(installer)]),
    ...(stage === null ? [] : [stage]),
    lines,
  ]
  return `${comment(header(options))}${stages.map((lines) => `\n${lines.join('\n')}\n`).join('')}`
}

function header(options: DeployOptions): string[] {
  const platform = options.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64'
  return [
    'The image of these features, written by "fabra deploy". Build it in this folder:',
    `  docker build --platform ${platform} --tag ${options.name}:${options.version} .`,
    `${options.release === null ? `${archiveName(options.arch)} holds the executable` : 'The executable is that of a release, by its checksum'}. The server needs`,
    'FABRA_POSTGRES_URL, FABRA_REDIS_URL and FABRA_API_KEYS.',
  ]
}

/** One line for each folder: what is copied together lands in one. */
function copies({ files, folders }: ProjectEntries): string[][] {
  const byFolder = new Map<string, string[]>()
  for (const file of files) {
    const folder = file.split('/').slice(0, -1).join('/')
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), file])
  }
  return [
    ...[...byFolder].map(([folder, paths]) => [...paths, folder === '' ? './' : `./${folder}/`].map(literally)),
    ...folders.map((folder) => [folder, `./${folder}/`].map(literally)),
  ]
}

/** Signs of a pattern in a name, for which the Dockerfile has patterns, too. */
function literally(path: string, index: number, all: readonly string[]): string {
  return index === all.length - 1 ? path : path.replaceAll(/[[*?\\]/g, (sign) => (sign === '\\' ? '\\\\' : `[${sign}]`))
}

/** Where there are a shell and tar: the image itself has neither. Builders of every age can do this. */
function executableStage({ url, sha256 }: ReleaseArchive): string[] {
  const archive = '/tmp/fabra.tar.gz'
  const unpack = `echo '${sha256}  ${archive}' | sha256sum --check --quiet - && tar -xzf ${archive} -C /usr/local/bin fabra`
  return ['FROM docker.io/library/debian:bookworm-slim AS executable', `ADD ${exec([url, archive])}`, `RUN ${exec(['sh', '-c', unpack])}`]
}

function packagesStage(installer: Installer): string[] {
  return [
    `FROM ${installer.image} AS packages`,
    'WORKDIR /app',
    `COPY ${exec([...installer.files, './'])}`,
    ...(installer.environment ? [`ENV ${installer.environment}`] : []),
    `RUN ${exec(installer.command)}`,
  ]
}

/** What must never be in an image, at any depth. */
const SECRETS = [
  '.env',
  '.env.*',
  '*.pem',
  '*.key',
  '*.p12',
  '*.pfx',
  'id_rsa*',
  'id_ed25519*',
  '.npmrc',
  '.pypirc',
  '.netrc',
  '.aws',
  '.gcloud',
  '.ssh',
]
const LEFT_OUT = [
  '.git',
  '.fabra',
  'node_modules',
  '.venv',
  '__pycache__',
  '*.pyc',
  '*.log',
  '*.duckdb',
  '*.duckdb.wal',
  '.DS_Store',
  '.idea',
  '.vscode',
]

function ignored(): string {
  return [
    '# What stays out of the image: secrets, and what is made again there.',
    ...[...SECRETS, ...LEFT_OUT].map((pattern) => `**/${pattern}`),
    'Dockerfile',
    '.dockerignore',
    '',
  ].join('\n')
}
