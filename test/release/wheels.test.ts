/** The wheels, installed as people do who reach no index: nothing but the release is there to install from. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { writeWheels } from '../../scripts/release-parts/wheels.ts'
import { builtBinary, startFabra, temporaryFolder } from '../support/binary.ts'
import { pythonTool, runTool } from '../support/python.ts'

const LIMIT_MS = 300_000
const NAME = `${process.platform}-${process.arch}`

let folder: string
let wheels: string
let ours: string
beforeAll(() => {
  folder = temporaryFolder()
  wheels = join(folder, 'release/wheels')
  const built = [{ target: { name: NAME }, executable: builtBinary() }]
  ours = join(wheels, writeWheels(wheels, built, { level: 1, notices: 'Notices.\n' })[0] ?? '')
}, LIMIT_MS)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the same executable gives the same wheel, under whatever name it is published', () => {
  const program = join(folder, 'program')
  writeFileSync(program, '#!/bin/sh\n')
  const built = [{ target: { name: 'linux-arm64' }, executable: program }]
  const made = ['a', 'b'].map((name) => {
    const [file = ''] = writeWheels(join(folder, name), built, { level: 9, notices: '' })
    return { file, bytes: readFileSync(join(folder, name, file)) }
  })
  expect(made[0]).toEqual(made[1])
  expect(made[0]?.file).toBe(`fabra_ai-${packageJson.version}-py3-none-manylinux_2_28_aarch64.whl`)
  const [named] = writeWheels(join(folder, 'c'), built, { name: 'Our.Features', level: 9, notices: '' })
  expect(named).toBe(`our_features-${packageJson.version}-py3-none-manylinux_2_28_aarch64.whl`)
  expect(() => writeWheels(join(folder, 'd'), built, { name: 'no good', level: 9, notices: '' })).toThrow('cannot be the name')
})

test('tools that look at wheels have nothing to say of ours', async () => {
  expect(await runTool([pythonTool('twine'), 'check', '--strict', ours], { env: { NO_COLOR: '1', TERM: 'dumb' } })).toMatch(
    /^0\n[\s\S]*: PASSED\n$/,
  )
  expect(await runTool([pythonTool('check-wheel-contents'), ours])).toMatch(/^0\n.*: OK\n$/)
})

test(
  'installed in a clean environment with no index, the command runs, serves, and the client speaks with it',
  async () => {
    const environment = join(folder, 'environment')
    const python = join(environment, 'bin/python')
    expect(await runTool(['python3', '-m', 'venv', '--without-pip', environment])).toBe('0\n')
    const env = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_NO_CACHE_DIR: '1' }
    const pip = [pythonTool('python'), '-m', 'pip', '--python', python, 'install', '--quiet', 'fabra-ai[ui]'] as const
    expect(await runTool(pip, { env })).toBe('0\n')
    for (const command of [
      [join(environment, 'bin/fabra'), 'version'],
      [python, '-m', 'fabra', 'version'],
    ] as const)
      expect(await runTool(command, { env: { FABRA_CACHE_DIR: join(folder, 'cache') } })).toBe(`0\n${packageJson.version}\n`)
    const offline = ['--quiet', '--offline', '--no-index', '--find-links', wheels]
    const uv = { UV_CACHE_DIR: join(folder, 'uv'), UV_PYTHON_DOWNLOADS: 'never', FABRA_CACHE_DIR: join(folder, 'cache') }
    expect(await runTool([pythonTool('uvx'), ...offline, '--from', 'fabra-ai[ui]', 'fabra', 'version'], { env: uv })).toBe(
      `0\n${packageJson.version}\n`,
    )
    const project = join(folder, 'project')
    mkdirSync(project)
    copyFileSync(join(import.meta.dir, '../python/client_features.ts.txt'), join(project, 'features.ts'))
    const fabra = await startFabra({ file: 'features.ts', cwd: project, binary: join(environment, 'bin/fabra') })
    try {
      const said = await runTool([python, '-c', ROUND_TRIP], { cwd: project, env: { FABRA_URL: fabra.url } })
      expect(said).toBe(
        `0\n{'user_id': 'u1', 'i': 7, 'weights': {'a': 0.5}}\n0.25 1 history\nmissing\nA table of Arrow needs pyarrow, which is not installed.\n['fabra.testing.pytest_plugin']\n0.5\n`,
      )
    } finally {
      await fabra.stop()
    }
    expect(readdirSync(join(environment, 'bin'))).toContain('fabra')
  },
  LIMIT_MS,
)

const ROUND_TRIP = `
from datetime import datetime, timedelta, timezone
from fabra import Client, FabraError
now = datetime.now(timezone.utc)
fabra = Client(timeout=60)
fabra.push("i", [{"user_id": "u1", "value": 7}])
fabra.push("weights", [{"user_id": "u1", "value": {"a": 0.5}}])
print(fabra.features(["i", "weights"], ["u1"])[0])
fabra.append("events", [{"event_id": "1", "user_id": "u1", "amount": "0.25", "created_at": now - timedelta(seconds=9)}])
train = fabra.training_set([{"user_id": "u1", "event_timestamp": now + timedelta(seconds=60)}], ["i"], progress=False)
print(fabra.feature("spent", "u1").value, len(train), train.report["features"][0]["method"])
fabra.forget("User", "u1")
print(fabra.feature("i", "u1").status)
try:
    train.to_arrow()
except FabraError as error:
    print(error.message)
from importlib.metadata import distribution
from fabra.testing import store
print([entry.value for entry in distribution("fabra-ai").entry_points])
with store("features.ts") as tests:
    then = tests.at("2026-01-02T00:00Z").given(events=[{"event_id": "1", "user_id": "u1", "amount": "0.5", "created_at": "2026-01-01T23:59:00Z"}])
    print(then.value("spent", "u1"))
`

/** Commands that would install from the public index, where the names belong to strangers. */
const INSTALLS = /\b(?:pip3?|uv|uvx|pipx|poetry|conda|pdm)\b[^\n`]*\bfabra(?:-ai|_ai)?\b(?!\.(?:py|ts)|[\w/-]*\/)/g

function strangersPackages(text: string): string[] {
  return [...text.replaceAll(/\\\n\s*/g, ' ').matchAll(INSTALLS)]
    .map(([line]) => line)
    .filter((line) => /\b(?:install|add|run|uvx|download)\b/.test(line) && !(line.includes('--no-index') && line.includes('--find-links')))
}

test('no document shows a command that would install a package of somebody else', () => {
  for (const line of [
    'pip install fabra-ai',
    'pip install "fabra-ai[ui]"',
    'uv add fabra',
    'uvx fabra-ai serve',
    'pip install \\\n  fabra-ai',
  ])
    expect(strangersPackages(`Run \`${line}\`.`)).toHaveLength(1)
  for (const line of ['pip install --no-index --find-links release/wheels "fabra-ai[ui]"', 'uv run fabra.py', 'pip install httpx'])
    expect(strangersPackages(line)).toEqual([])
  const project = join(import.meta.dir, '../..')
  const patterns = [
    '*.md',
    'install.sh',
    'docs/**/*.md',
    'examples/**/*.{md,py,ts,ipynb}',
    'src/**/*.{ts,py}',
    'scripts/**/*.{ts,py}',
    'scripts/*',
  ]
  const files = patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: project })])
  expect(files.length).toBeGreaterThan(300)
  const found = files.flatMap((file) => strangersPackages(readFileSync(join(project, file), 'utf8')).map((line) => `${file}: ${line}`))
  expect(found).toEqual([])
})
