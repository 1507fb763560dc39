/** Before something is written to a database off this machine that nobody named but a file that happens to lie there. */
import { hostname, networkInterfaces } from 'node:os'
import { Option } from 'commander'
import { FabraError } from '../errors.ts'

const STORES = ['FABRA_POSTGRES_URL', 'FABRA_SOURCE_URL', 'FABRA_REDIS_URL'] as const

export interface Asking {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Variables that came from `.env`. */
  readonly taken: readonly string[]
  /** `--yes` was given. */
  readonly yes: boolean
  /** Left out where there is no terminal. */
  readonly ask?: (question: string) => Promise<string>
}

export function yesOption(): Option {
  return new Option('-y, --yes', 'write to a database off this machine that .env names, without asking')
}

/** @throws FabraError bad_usage where the answer is no, or nobody can be asked. */
export async function mayWrite({ env, taken, yes, ask }: Asking): Promise<void> {
  if (yes) return
  const far = STORES.filter((name) => taken.includes(name)).flatMap((name) => distantHosts(env[name] ?? '').map((host) => ({ name, host })))
  if (far.length === 0) return
  const named = far.map(({ name, host }) => `${name} (${host})`).join(' and ')
  const what = `.env names ${far.length === 1 ? 'a database' : 'databases'} off this machine: ${named}`
  if (ask === undefined) {
    throw new FabraError('bad_usage', `${what}. This command writes there.`, {
      hint: 'Add --yes if that is meant, or set the addresses in the environment.',
    })
  }
  const answer = await ask(`${what}.\nThis command writes there. Go on? [y/N] `)
  if (/^\s*y(?:es)?\s*$/i.test(answer)) return
  throw new FabraError('bad_usage', 'Nothing was done.', { hint: 'Answer y, or add --yes.' })
}

/** Hosts of an address that are not this machine; sockets of files are. */
function distantHosts(url: string): string[] {
  const [, authority = '', query] = /^[a-z+]+:\/\/(?:[^@/?#]*@)?([^/?#]*)(?:\/[^?#]*)?(?:\?([^#]*))?/i.exec(url) ?? []
  const hosts = authority === '' ? (new URLSearchParams(query).get('host') ?? '').split(',') : authority.split(',')
  return hosts.map(hostOf).filter((host) => host !== '' && !host.startsWith('/') && !isHere(host))
}

function hostOf(written: string): string {
  const decoded = decodeURIComponent(written)
  return (/^\[([^\]]*)\]/.exec(decoded)?.[1] ?? decoded.replace(/:\d*$/, '')).toLowerCase()
}

function isHere(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)) return true
  if (host === hostname().toLowerCase() || host === 'host.docker.internal') return true
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address.toLowerCase() === host))
}
