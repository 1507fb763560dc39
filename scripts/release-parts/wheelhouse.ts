/**
 * What the Python client needs besides itself, as wheels of exact versions: they lie beside ours in the release, so that it can be installed where no
 * index is reached. Run as a program, it downloads them.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dir, '../../.bun/wheelhouse')

interface Needed {
  readonly requirement: string
  readonly file: string
  readonly sha256: string
  /** Oldest Python that it is for, where that is not ours. */
  readonly python?: string
}

/** httpx and all that it needs, for Python 3.9 and later: none of them is of one system. */
const NEEDED: readonly Needed[] = [
  {
    requirement: 'anyio==4.12.1',
    file: 'anyio-4.12.1-py3-none-any.whl',
    sha256: 'd405828884fc140aa80a3c667b8beed277f1dfedec42ba031bd6ac3db606ab6c',
  },
  {
    requirement: 'anyio==4.16.0',
    file: 'anyio-4.16.0-py3-none-any.whl',
    sha256: 'c66ae634e0b8228396b801741beb3294326d4b6102f7bba4041c0dfb58c29026',
    python: '3.10',
  },
  {
    requirement: 'certifi==2026.10.18',
    file: 'certifi-2026.10.18-py3-none-any.whl',
    sha256: '73191c47aaa79da394e8fee2dbc2ec827432cab56311122c9e47abf79e390f62',
  },
  {
    requirement: 'exceptiongroup==1.3.2',
    file: 'exceptiongroup-1.3.2-py3-none-any.whl',
    sha256: '41c6a70dfec22050d3d8b43386b059a4dc0bca3f3d40a40971cb206fff1785af',
  },
  {
    requirement: 'h11==0.16.0',
    file: 'h11-0.16.0-py3-none-any.whl',
    sha256: '63cf8bbe7522de3bf65932fda1d9c2772064ffb3dae62d55932da54b31cb6c86',
  },
  {
    requirement: 'httpcore==1.0.9',
    file: 'httpcore-1.0.9-py3-none-any.whl',
    sha256: '2d400746a40668fc9dec9810239072b40b4484b640a8c38fd654a024c7a1bf55',
  },
  {
    requirement: 'httpx==0.28.1',
    file: 'httpx-0.28.1-py3-none-any.whl',
    sha256: 'd909fcccc110f8c7faf814ca82a9a4d816bc5a6dbfea25d6591d6985b8ba59ad',
  },
  {
    requirement: 'idna==3.20',
    file: 'idna-3.20-py3-none-any.whl',
    sha256: 'ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c',
  },
  {
    requirement: 'typing_extensions==4.16.0',
    file: 'typing_extensions-4.16.0-py3-none-any.whl',
    sha256: '481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8',
  },
]

/** @returns paths of the wheels, downloaded where they are not there yet. @throws Error when pip cannot, or something else arrives. */
export function wheelhouse(): readonly string[] {
  mkdirSync(FOLDER, { recursive: true })
  for (const name of readdirSync(FOLDER)) if (!NEEDED.some(({ file }) => file === name)) rmSync(join(FOLDER, name))
  return NEEDED.map((needed) => {
    const path = join(FOLDER, needed.file)
    if (!isRight(path, needed)) download(needed)
    if (!isRight(path, needed)) throw new Error(`${needed.file} is not what it was when its version was chosen.`)
    return path
  })
}

function isRight(path: string, { sha256 }: Needed): boolean {
  return existsSync(path) && new Bun.CryptoHasher('sha256').update(readFileSync(path)).digest('hex') === sha256
}

function download({ requirement, sha256, python = '3.9' }: Needed): void {
  const list = join(FOLDER, 'requirements.txt')
  writeFileSync(list, `${requirement} --hash=sha256:${sha256}\n`)
  const words = [
    'python3',
    '-m',
    'pip',
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--only-binary=:all:',
    '--require-hashes',
  ]
  const child = Bun.spawnSync([...words, '--python-version', python, '--dest', FOLDER, '--requirement', list], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  rmSync(list)
  if (child.exitCode !== 0) throw new Error(`pip could not download ${requirement}. Is PyPI reachable?\n${child.stderr}`)
}

if (import.meta.main) wheelhouse()
