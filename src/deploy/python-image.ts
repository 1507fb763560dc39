/** The parts of an image that runs Python, and the same packages on a machine that is no image. */
import { exec } from './exec-form.ts'
import { PYTHON_DISTRIBUTION } from './python-name.ts'
import { shellWord } from './text.ts'

/** What definitions in Python need where they run. */
export interface PythonNeeds {
  /** `3.11` */
  readonly version: string
  /** Folders of the project in which imports are found, besides the definitions' own. */
  readonly paths: readonly string[]
  readonly packages: PythonPackages
}

export type PythonPackages =
  | { readonly from: 'uv' }
  /** @param files Relative to the project; requirements.txt is among them. @param text For requirements.txt where there is none. */
  | { readonly from: 'requirements'; readonly files: readonly string[]; readonly text: string }

/** The names that hold, or look as if they held, the package "fabra". On public indexes others own them: no image takes them from there. */
export const OWN_DISTRIBUTIONS: readonly string[] = [PYTHON_DISTRIBUTION, 'fabra']
const UV = 'ghcr.io/astral-sh/uv:0.13'
const REQUIREMENTS = '/tmp/requirements'
/** As requirements may write them. */
const OURS = OWN_DISTRIBUTIONS.map((name) => name.replaceAll(/[-_.]+/g, '[-_.]+')).join('|')
/** Lines that go on after a backslash first become one: hashes go with the line that they belong to. */
const WITHOUT_OURS = [
  ...['-e', ':a', '-e', '/\\\\$/{N', '-e', 'ba', '-e', '}'],
  ...['-e', `/^[[:space:]]*(${OURS})[[:space:]]*([^[:alnum:]._-]|$)/Id`],
]

export function pythonImage({ version }: PythonNeeds): string {
  return `docker.io/library/python:${version}-slim-bookworm`
}

/** The stage in which packages are installed that are copied from there. */
export function pythonStage(needs: PythonNeeds): readonly string[] | null {
  if (needs.packages.from !== 'uv') return null
  return [
    `FROM ${pythonImage(needs)} AS python-packages`,
    `COPY --from=${UV} ${exec(['/uv', '/usr/local/bin/'])}`,
    'WORKDIR /app',
    `COPY ${exec(['pyproject.toml', 'uv.lock', './'])}`,
    'ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1',
    `RUN ${exec(uvSync())}`,
  ]
}

export function pythonBase(needs: PythonNeeds, home: string): readonly string[] {
  const { packages, paths } = needs
  const path = paths.length === 0 ? '' : ` PYTHONPATH=${paths.map((one) => JSON.stringify(one === '' ? '/app' : `/app/${one}`)).join(':')}`
  return [
    `FROM ${pythonImage(needs)}`,
    `RUN ${exec(['install', '--directory', '--owner=65532', '--group=65532', home])}`,
    `ENV HOME=${home} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1${path}`,
    ...(packages.from === 'uv' ? [] : installed(packages.files)),
  ]
}

/** What the executable brings along itself is taken out first. */
function installed(files: readonly string[]): string[] {
  const folders = Map.groupBy(files, (file) => file.split('/').slice(0, -1).join('/'))
  const copies = [...folders].map(([folder, all]) => `COPY ${exec([...all, `${REQUIREMENTS}/${folder === '' ? '' : `${folder}/`}`])}`)
  return [
    ...copies,
    `RUN ${exec(['sed', '--in-place', '--regexp-extended', ...WITHOUT_OURS, ...files.map((file) => `${REQUIREMENTS}/${file}`)])}`,
    `RUN ${exec(['pip', 'install', '--no-cache-dir', '--requirement', `${REQUIREMENTS}/requirements.txt`])}`,
  ]
}

/** After the definitions are in place. */
export function pythonCopies({ packages }: PythonNeeds): readonly string[] {
  return packages.from === 'uv' ? [`COPY --from=python-packages ${exec(['/app/.venv', './.venv'])}`] : []
}

/** For a machine that is no image, in the folder of the project. */
export function pythonInstallCommand({ packages }: PythonNeeds): string {
  if (packages.from === 'uv') return uvSync().join(' ')
  const clean = ['sed', '--in-place', '--regexp-extended', ...WITHOUT_OURS, ...packages.files].map(shellWord).join(' ')
  return `${clean} && python3 -m venv .venv && .venv/bin/pip install --requirement requirements.txt`
}

/** What of the project it takes to install them, relative to it. */
export function pythonInstallFiles({ packages }: PythonNeeds): readonly string[] {
  return packages.from === 'uv' ? ['pyproject.toml', 'uv.lock'] : packages.files
}

function uvSync(): string[] {
  const ours = OWN_DISTRIBUTIONS.flatMap((name) => ['--no-install-package', name])
  return ['uv', 'sync', '--frozen', '--no-dev', '--no-install-project', ...ours]
}
