/**
 * Bases of images where the real ones cannot be fetched: of the Debian packages that they consist of, as they are installed on this machine, so that
 * no network is needed.
 */
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Base {
  readonly image: string
  readonly packages: readonly string[]
  /** Who commands run as, where it is not root. */
  readonly user?: number
  /** Makes /usr/local/bin/pip of the pip that Python itself brings along. */
  readonly withPip?: boolean
}

/** What fabra itself needs of a system. */
const COMMON = ['libc6', 'libstdc++6', 'libgcc-s1', 'ca-certificates', 'tzdata', 'netbase']

export const distroless: Base = { image: 'gcr.io/distroless/cc-debian12:nonroot', packages: COMMON, user: 65_532 }
/** Where the archive of a release is checked and unpacked. */
export const debian: Base = {
  image: 'docker.io/library/debian:bookworm-slim',
  packages: ['libc6', 'dash', 'coreutils', 'tar', 'gzip', 'libacl1', 'libattr1', 'libselinux1', 'libpcre2-8-0', 'libgmp10', 'libssl3'],
}
export const python: Base = {
  // Of the version that Debian has.
  image: 'docker.io/library/python:3.11-slim-bookworm',
  packages: [
    ...COMMON,
    ...['coreutils', 'sed', 'libacl1', 'libattr1', 'libselinux1', 'libpcre2-8-0', 'libgmp10', 'libssl3'],
    ...['python3-minimal', 'python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib'],
    ...['libexpat1', 'zlib1g', 'libffi8', 'libbz2-1.0', 'liblzma5', 'libuuid1'],
  ],
  withPip: true,
}

type Buildah = (...words: readonly string[]) => string

interface BuildTools {
  readonly buildah: Buildah
  /** A folder to work in. */
  readonly work: string
  /** Asks no registry. */
  readonly offline: boolean
}

/** @returns what was done, for people. */
export function provideBase(base: Base, { buildah, work, offline }: BuildTools): string {
  try {
    if (offline) throw new Error('No registry is asked.')
    buildah('pull', '--quiet', '--retry', '0', base.image)
    return `pulled ${base.image}`
  } catch {
    // Not to be had here.
  }
  const root = join(work, base.image.replaceAll(/\W/g, '-'))
  for (const folder of ['etc', 'home/nonroot', 'tmp', 'proc', 'dev', 'usr/local/bin']) mkdirSync(join(root, folder), { recursive: true })
  const shell = Bun.spawnSync([
    'bash',
    '-euo',
    'pipefail',
    '-c',
    'root=$1; shift; { dpkg --listfiles "$@" 2>/dev/null || true; } | grep -Ev "^/usr/(share/(doc|info|lintian|locale|man|zoneinfo/right)|lib/[^/]+/gconv)/" | sort -u | while read -r path; do if [ ! -d "$path" ] && [ -e "$path" ]; then echo "$path"; fi; done | tar -C / -P --no-recursion -T - -c | tar -C "$root" -x',
    'bash',
    root,
    ...base.packages,
  ])
  if (shell.exitCode !== 0) throw new Error(`Could not copy the packages of ${base.image}: it takes Debian.\n${shell.stderr}`)
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
  )
  if (base.withPip) addPip(root)
  const container = buildah('from', 'scratch')
  buildah('copy', '--quiet', container, root, '/')
  // Copying makes everything root's.
  const mounted = buildah('mount', container)
  chmodSync(join(mounted, 'tmp'), 0o1777)
  if (base.user !== undefined) chownSync(join(mounted, 'home/nonroot'), base.user, base.user)
  buildah('umount', container)
  const user = base.user === undefined ? [] : ['--user', String(base.user), '--env', 'HOME=/home/nonroot']
  buildah('config', ...user, '--env', 'PATH=/usr/local/bin:/usr/bin:/bin', container)
  buildah('commit', '--quiet', container, base.image)
  return `${offline ? 'instead of' : 'cannot fetch'} ${base.image}, a stand-in of ${base.packages.length} packages of this machine`
}

function addPip(root: string): void {
  const found = Bun.spawnSync(['python3', '-c', 'import os, pip; print(os.path.dirname(pip.__file__))'])
  if (found.exitCode !== 0) throw new Error('This machine has no pip: apt-get install python3-pip')
  const place = join(root, 'usr/lib/python3/dist-packages')
  mkdirSync(place, { recursive: true })
  const pip = found.stdout.toString().trim()
  const copied = Bun.spawnSync(['cp', '-R', pip, place])
  if (copied.exitCode !== 0) throw new Error(`Could not copy ${dirname(pip)}.`)
  // Debian's own Python installs nothing; the one of the image does.
  for (const marker of new Bun.Glob('usr/lib/python3*/EXTERNALLY-MANAGED').scanSync(root)) rmSync(join(root, marker))
  const script = join(root, 'usr/local/bin/pip')
  writeFileSync(script, '#!/usr/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n')
  chmodSync(script, 0o755)
}
