import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { monitoringFiles } from '../../deploy/monitoring.ts'
import { environmentText, type StackPorts, serverSettings, stackFile, stackSettings } from '../../deploy/stack.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext } from '../context.ts'
import { randomSecret } from './secret.ts'
import { type FileToWrite, writeFiles } from './write-files.ts'

export interface SetupFlags {
  readonly postgresPort: string
  readonly redisPort: string
  readonly force?: boolean
}

const NEXT = ['docker compose up --detach --wait', 'fabra migrate', 'fabra keys create --operator', 'fabra serve']

/** `fabra setup`, by itself because of what it loads. */
export function setup(dir: string, flags: SetupFlags, context: CliContext): void {
  const ports = { postgres: port('--postgres-port', flags.postgresPort), redis: port('--redis-port', flags.redisPort) }
  if (ports.postgres === ports.redis)
    throw new FabraError('bad_usage', 'Both ports are the same.', { hint: 'Give PostgreSQL and Redis a port each.' })
  const folder = resolve(context.cwd, dir)
  const { path, text } = stackFile(ports)
  // People set limits of their own.
  const monitoring = monitoringFiles().map((file) => ({ path: file.path, data: file.text, ifMissing: true }))
  const files = [{ path, data: text }, ...monitoring, environmentFor(folder, ports)]
  const states = writeFiles(folder, files, { force: flags.force === true, hint: 'Replace them with --force; passwords in .env stay.' })
  const next = [...(dir === '.' ? [] : [`cd ${dir}`]), ...NEXT]
  if (context.json) {
    context.stdout(`${JSON.stringify({ directory: folder, files: files.map((file) => file.path), next })}\n`)
    return
  }
  const written = files.filter((_, i) => states[i] === 'new' || states[i] === 'different').map((file) => file.path)
  const summary =
    written.length === 0
      ? 'Everything is there already.'
      : `Wrote ${written.slice(0, -1).join(', ')}${written.length > 1 ? ' and ' : ''}${written.at(-1)}.`
  context.stdout(`${summary} Passwords are in .env: keep it out of git.\n\nNext:\n${next.map((line) => `  ${line}\n`).join('')}`)
}

/** .env with what is in it already: databases keep the password that they were made with. */
function environmentFor(folder: string, ports: StackPorts): FileToWrite {
  const path = join(folder, '.env')
  const text = existsSync(path) ? readFileSync(path, 'utf8') : null
  const there: Readonly<Record<string, string | undefined>> = text === null ? {} : parseEnv(text)
  const secret = (name: string) => there[name] || randomSecret()
  const passwords = {
    postgres: secret('POSTGRES_PASSWORD'),
    postgresAdmin: secret('POSTGRES_ADMIN_PASSWORD'),
    redis: secret('REDIS_PASSWORD'),
  }
  const settings = { ...stackSettings(passwords), ...serverSettings(passwords, ports) }
  const file = { path: '.env', mode: 0o600 }
  if (text === null) return { ...file, data: environmentText(settings) }
  const lacking = Object.entries(settings).filter(([name, value]) => there[name] !== value)
  if (lacking.length === 0) return { ...file, data: text }
  const names = lacking.map(([name]) => name)
  const kept = text.split('\n').filter((line) => !names.some((name) => new RegExp(`^\\s*(export\\s+)?${name}\\s*=`).test(line)))
  const added = lacking.map(([name, value]) => `${name}=${value}`)
  return { ...file, data: `${[kept.join('\n').trimEnd(), ...added].filter((part) => part !== '').join('\n')}\n` }
}

function port(flag: string, text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && number <= 65_535) return number
  throw new FabraError('bad_usage', `${flag} "${text}" is not a port.`, { hint: 'Write a whole number from 1 to 65535.' })
}
