/** `fabra deploy` of definitions in Python, as people meet it: the version and the packages are those of the project's environment. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { temporaryFolder } from '../support/binary.ts'
import { runCommand } from '../support/command.ts'
import { interpreters } from '../support/interpreters.ts'

let folder = ''
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const FEATURES = `
import json
import os.path
from fabra import entity, feature
from acme_risk import score
from rules.limits import limit
with open(os.path.join(os.path.dirname(__file__), "models", "churn.json")) as file:
    MODEL = json.load(file)
@entity
class User:
    user_id: str
@feature(entity=User, refresh=0)
def risk(user_id: str) -> float:
    return min(score(user_id), limit(user_id)) * MODEL["weight"]
`

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}

/** An environment of the oldest Python here, with two packages, of which one needs the other. */
function project(more: Readonly<Record<string, string>> = {}): string {
  const [python] = interpreters()
  if (python === undefined) throw new Error('There is no Python.')
  const made = Bun.spawnSync([python.path, '-m', 'venv', '--without-pip', join(folder, '.venv')])
  if (made.exitCode !== 0) throw new Error(made.stderr.toString())
  const [lib = ''] = readdirSync(join(folder, '.venv/lib'))
  const packages = `.venv/lib/${lib}/site-packages`
  write({
    [`${packages}/acme_risk/__init__.py`]: 'import acme_base\ndef score(user): return acme_base.ONE\n',
    [`${packages}/Acme_Risk_Engine-1.2.3.dist-info/METADATA`]:
      'Metadata-Version: 2.1\nName: Acme_Risk.Engine\nVersion: 1.2.3+local\nRequires-Dist: acme-base (>=1) ; python_version > "3"\nRequires-Dist: nowhere ; extra == "all"\n',
    [`${packages}/Acme_Risk_Engine-1.2.3.dist-info/top_level.txt`]: 'acme_risk\n',
    [`${packages}/acme_base.py`]: 'ONE = 1.0\n',
    [`${packages}/acme_base-2.0.dist-info/METADATA`]: 'Metadata-Version: 2.1\nName: acme-base\nVersion: 2.0\n',
    [`${packages}/acme_base-2.0.dist-info/RECORD`]: 'acme_base.py,,\n',
    'features.py': FEATURES,
    'rules/__init__.py': '',
    'rules/limits.py': 'from .deep import most\ndef limit(user): return most()\n',
    'rules/deep.py': 'def most(): return 5.0\n',
    'rules/unused.py': '',
    'models/churn.json': '{"weight": 1}',
    'data/rows.csv': 'a\n1\n',
    linux: new TextDecoder().decode(
      new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, ...new Array(11).fill(0), 62, ...new Array(81).fill(0)]),
    ),
    ...more,
  })
  return `${Math.floor(python.version / 100)}.${python.version % 100}`
}

async function deploy(...args: string[]) {
  return runCommand(['deploy', ...args, '--name', 'shop', '--executable', 'linux'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
  })
}
const textOf = (path: string) => readFileSync(join(folder, path), 'utf8')
const copies = (text: string) => text.split('\n').filter((line) => line.startsWith('COPY --chown'))

test('the image has the Python and the packages of the environment, and what the definitions import and name', async () => {
  const version = project()
  const { exitCode, stderr } = await deploy('docker')
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('Packing') })
  expect(
    textOf('requirements.txt')
      .split('\n')
      .filter((line) => !line.startsWith('#')),
  ).toEqual(['acme-risk-engine==1.2.3', 'acme-base==2.0 ; python_version > "3"', ''])
  const dockerfile = textOf('Dockerfile')
  expect(dockerfile).toContain(`FROM docker.io/library/python:${version}-slim-bookworm`)
  expect(copies(dockerfile)).toEqual([
    'COPY --chown=65532:65532 ["features.py", "./"]',
    'COPY --chown=65532:65532 ["models/churn.json", "./models/"]',
    'COPY --chown=65532:65532 ["rules/__init__.py", "rules/deep.py", "rules/limits.py", "./rules/"]',
  ])
  // Loaded and called where there is only that.
  const checked = await deploy('docker', '--check')
  expect(checked.stdout).toContain('FABRA_API_KEYS: is set neither here nor in .env')
  expect(checked.stdout).toContain('1 problem')
}, 180_000)

test('what is imported and named nowhere is refused; what a named package needs is not', async () => {
  project({ 'requirements.txt': '# ours\nfabra-ai[ui]\n-r more/base.txt\n', 'more/base.txt': 'acme-base==2.0\n' })
  const refused = await deploy('docker')
  expect(refused).toMatchObject({ exitCode: 2, stdout: '' })
  expect(refused.stderr).toContain('The definitions import acme-risk-engine, which requirements.txt does not name')
  expect(refused.stderr).toContain("echo 'acme-risk-engine==1.2.3' >> requirements.txt")
  write({ 'more/base.txt': 'Acme_Risk-Engine==1.2.3\n', 'features.py': `import acme_base\n${FEATURES}` })
  expect(await deploy('docker')).toMatchObject({ exitCode: 0 })
  expect(textOf('requirements.txt')).toContain('fabra-ai[ui]')
  expect(textOf('Dockerfile')).toContain('COPY ["more/base.txt", "/tmp/requirements/more/"]')
  // Where the image is built from a folder of its own, or sent elsewhere, they go along.
  expect(await deploy('railway', '--output', 'out')).toMatchObject({ exitCode: 0 })
  expect(textOf('out/more/base.txt')).toContain('Acme')
  expect(textOf('out/requirements.txt')).toContain('-r more/base.txt')
  expect(textOf('out/.railwayignore')).toContain('!/more/base.txt\n')
  expect(textOf('out/.railwayignore')).toContain('!/requirements.txt\n')
}, 180_000)

test('a lock file of uv says what is installed, and never our own name from an index', async () => {
  const lock = (wanted: string, development: string) => `[[package]]
name = "shop"
source = { virtual = "." }
dependencies = [{ name = "${wanted}" }]
[package.dev-dependencies]
dev = [{ name = "${development}" }]
[[package]]
name = "engine-maker"
dependencies = [{ name = "acme-risk-engine" }]
[[package]]
name = "acme-risk-engine"
`
  const pyproject = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["acme-risk-engine"]\n'
  // What is there for development alone is not installed.
  project({ 'pyproject.toml': pyproject, 'uv.lock': lock('other', 'acme-risk-engine') })
  expect((await deploy('docker')).stderr).toContain('Name it: uv add acme-risk-engine')
  write({ 'uv.lock': lock('engine-maker', 'other') })
  expect(await deploy('docker')).toMatchObject({ exitCode: 0 })
  const text = textOf('Dockerfile')
  expect(text).toContain('"uv", "sync", "--frozen", "--no-dev", "--no-install-project", "--no-install-package", "fabra-ai"')
  expect(text).toContain('COPY --from=python-packages ["/app/.venv", "./.venv"]')
  expect(readdirSync(folder)).not.toContain('requirements.txt')
}, 180_000)
