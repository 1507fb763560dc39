import type { PythonNeeds } from './python-image.ts'
import type { Regions } from './regions.ts'

/** What is deployed, as every platform needs to know it. */
export interface DeployOptions {
  readonly name: string
  /** In the platform's own words; empty where a platform has none. */
  readonly region: string
  readonly replicas: number
  /** Definition files, relative to the folder that the image is built from, with forward slashes. */
  readonly definitions: readonly string[]
  /** What of that folder goes into the image, with forward slashes: files, and folders with all that is in them. */
  readonly project: ProjectEntries
  /** Where that folder is in its git repository, with forward slashes; empty for the top of it. */
  readonly repositoryPath: string
  /** What installs the packages that the definitions import; null where there are none. */
  readonly packages: PackageManager | null
  /** What definitions in Python need; null: there are none. */
  readonly python: PythonNeeds | null
  /** What the project installs packages with, whether it has any yet or not. */
  readonly manager: PackageManager
  /** Of the Linux executable. */
  readonly arch: Arch
  /** Where the image takes the executable from; null: from an archive beside the Dockerfile. */
  readonly release: ReleaseArchive | null
  /** Google Cloud project; null: taken from gcloud when the commands run. */
  readonly googleProject: string | null
  /** AWS account; null: taken from the AWS command line when the commands run. */
  readonly awsAccount: string | null
  /** Fabra's own version: the tag of the image. */
  readonly version: string
  /** Text for passwords, of letters that stand in addresses as they are. */
  readonly secret: () => string
}

export interface ProjectEntries {
  readonly files: readonly string[]
  readonly folders: readonly string[]
}

export interface ReleaseArchive {
  readonly url: string
  /** Hex. */
  readonly sha256: string
}

export type Arch = 'x64' | 'arm64'
export type PackageManager = 'npm' | 'yarn' | 'pnpm' | 'bun'
export type PlatformName = 'fly' | 'cloudrun' | 'ecs' | 'render' | 'railway' | 'docker' | 'systemd'

export interface DeployFile {
  /** Relative to the output folder, with forward slashes. */
  readonly path: string
  readonly text: string
  /** Permissions. Default 0644. */
  readonly mode?: number
  /** A file of the user's own that is left as it is where it exists. */
  readonly ifMissing?: boolean
}

/** One command to run next. */
export interface Step {
  readonly why: string
  readonly command: string
}

export interface Deployment {
  readonly files: readonly DeployFile[]
  readonly next: readonly Step[]
  /** Settings that the platform does not wire by itself: the server does not start without them. */
  readonly secrets: readonly string[]
}

/** A target of `fabra deploy`: options in, files out, nothing else. */
export interface Platform {
  readonly name: PlatformName
  /** For people. */
  readonly title: string
  /** Null where the platform has no regions. */
  readonly regions: Regions | null
  readonly nameRule: NameRule
  /** Processors that it runs. */
  readonly archs: readonly Arch[]
  /** Highest number of replicas. */
  readonly maxReplicas: number
  /** Whether the image, and so the Linux executable, is part of what is written. */
  readonly needsImage: boolean
  plan(options: DeployOptions): Deployment
}

export interface NameRule {
  readonly pattern: RegExp
  /** The rule in words: "2 to 63 lower-case letters, …". */
  readonly words: string
}

/** Longest wait for a server to end: its own eight seconds to finish what runs, and some to close its stores. */
export const STOP_SECONDS = 15
/** The port that the server takes where the platform does not give it one. */
export const PORT = 8000
/** Serves metrics alone, without a key: for the platform's own scraper, which reaches it in a private network. */
export const METRICS_PORT = 9091
export const EXECUTABLE = '/usr/local/bin/fabra'
export const SETTINGS = ['FABRA_POSTGRES_URL', 'FABRA_REDIS_URL', 'FABRA_API_KEYS'] as const

/** Lower-case letters, digits and single hyphens: what platforms, image names and host names agree on. */
export function nameRule(longest: number, shortest = 1): NameRule {
  return {
    pattern: new RegExp(`^(?=.{${shortest},${longest}}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*$`),
    words: `${shortest} to ${longest} lower-case letters, digits and single hyphens; begin with a letter, do not end with a hyphen`,
  }
}

/** `serve` and its definition files, for commands without a shell. */
export function serveArguments(options: DeployOptions): string[] {
  return ['serve', ...options.definitions]
}

/** The first step everywhere: its answer holds the line that the server needs. */
export function keyStep(options: DeployOptions): Step {
  return {
    why: 'make two API keys: it prints that of your app, which only reads, then yours, which may do all, and a line FABRA_API_KEYS=… for the server',
    command: `fabra keys create --name ${options.name} --operator`,
  }
}
