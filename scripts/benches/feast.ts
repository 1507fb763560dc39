/** Feast's own Python server, beside ours: the same users and features in the same Redis. Installed from PyPI when it is first asked for. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../../test/support/binary.ts'
import { freePort } from '../../test/support/ports.ts'
import { until } from '../../test/support/until.ts'
import { pinServer, type Target } from './load.ts'

export const FEAST_VERSION = '0.58.0'
/** Its server breaks with a later one, which its own requirements allow. */
const PROTOBUF_VERSION = '5.29.5'
const VENV = join(import.meta.dir, '../../.bun/feast')
const INSTALLED = join(VENV, `.installed-${FEAST_VERSION}`)
const INSTALL_MS = 600_000

export interface FeastServer extends AsyncDisposable {
  readonly one: Target
  readonly fifty: Target
}

export interface FeastShape {
  /** `host:port` */
  readonly redis: string
  readonly features: readonly string[]
  readonly users: number
}

/** @returns why there is none, where it cannot be installed. */
export async function startFeast({ redis, features, users }: FeastShape): Promise<FeastServer | string> {
  if (!(await isInstalled())) return `feast==${FEAST_VERSION} cannot be installed here`
  const folder = temporaryFolder()
  const python = join(VENV, 'bin/python')
  const made = Bun.spawnSync([python, join(import.meta.dir, 'feast_repo.py'), folder, redis, String(features.length), String(users)], {
    env: { ...process.env, FEAST_USAGE: 'False' },
  })
  if (made.exitCode !== 0) return `Feast's store could not be made: ${made.stderr.toString().trim().split('\n').at(-1)}`
  const port = await freePort()
  const child = Bun.spawn([join(VENV, 'bin/feast'), '-c', folder, 'serve', '-h', '127.0.0.1', '-p', String(port), '--no-access-log'], {
    env: { ...process.env, FEAST_USAGE: 'False' },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const dispose = async () => {
    child.kill()
    await child.exited
  }
  const url = `http://127.0.0.1:${port}`
  const ask = (names: readonly string[]): Target => ({
    url: `${url}/get-online-features`,
    body: JSON.stringify({ features: names.map((name) => `scores:${name}`), entities: { user_id: ['u1'] } }),
  })
  try {
    await until("Feast's server", 60_000, () =>
      fetch(`${url}/health`).then(
        (response) => (response.ok ? true : undefined),
        () => undefined,
      ),
    )
    await checkAnswer(ask(features.slice(0, 1)))
  } catch (error) {
    await dispose()
    return `Feast's server did not serve: ${error instanceof Error ? error.message : error}`
  }
  // Its workers are processes of their own.
  for (const pid of [child.pid, ...childrenOf(child.pid)]) pinServer(pid)
  return { one: ask(features.slice(0, 1)), fifty: ask(features), [Symbol.asyncDispose]: dispose }
}

async function isInstalled(): Promise<boolean> {
  if (existsSync(INSTALLED)) return true
  const install = `python3 -m venv "${VENV}" && "${VENV}/bin/pip" install --quiet --disable-pip-version-check "feast[redis]==${FEAST_VERSION}" "protobuf==${PROTOBUF_VERSION}"`
  const child = Bun.spawn(['sh', '-c', install], { stdio: ['ignore', 'ignore', 'inherit'], timeout: INSTALL_MS })
  if ((await child.exited) !== 0) return false
  await Bun.write(INSTALLED, '')
  return true
}

function childrenOf(pid: number): number[] {
  const { stdout } = Bun.spawnSync(['ps', '--ppid', String(pid), '-o', 'pid='])
  return stdout.toString().split(/\s+/).filter(Boolean).map(Number)
}

async function checkAnswer({ url, body }: Target): Promise<void> {
  const response = await fetch(url, { method: 'POST', body: body ?? '', headers: { 'content-type': 'application/json' } })
  const text = await response.text()
  if (!response.ok || !text.includes('PRESENT') || text.includes('NOT_FOUND')) throw new Error(`${response.status} ${text.slice(0, 200)}`)
}
