// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are references that others resolve.
/** PostgreSQL and Redis for one machine, hardened: for `fabra deploy docker` and `fabra setup`. */
import type { DeployFile } from './platform.ts'
import { comment, type Data, yamlText } from './text.ts'

export interface StackPorts {
  readonly postgres: number
  readonly redis: number
}

export interface StackPasswords {
  /** Of the role that Fabra connects as. */
  readonly postgres: string
  /** Of the superuser, which Fabra never is. */
  readonly postgresAdmin: string
  readonly redis: string
}

/** The two servers for a Fabra that runs on the machine itself. */
export function stackFile(ports: StackPorts): DeployFile {
  const header = [
    'PostgreSQL and Redis for Fabra on this machine, written by "fabra setup". Next: docker compose up --detach --wait',
    'Passwords are in .env: keep it out of git.',
  ]
  const services = { postgres: postgresService(ports.postgres), redis: redisService(ports.redis) }
  return { path: 'compose.yaml', text: yamlText(header, { services, configs: stackConfigs(), volumes: stackVolumes() }) }
}

/** What compose.yaml reads. */
export function stackSettings(passwords: StackPasswords): Readonly<Record<string, string>> {
  return { POSTGRES_PASSWORD: passwords.postgres, POSTGRES_ADMIN_PASSWORD: passwords.postgresAdmin, REDIS_PASSWORD: passwords.redis }
}

/** What a Fabra outside of the stack reads. */
export function serverSettings(passwords: StackPasswords, ports: StackPorts): Readonly<Record<string, string>> {
  return {
    FABRA_ENV: 'production',
    FABRA_POSTGRES_URL: `postgres://fabra:${encodeURIComponent(passwords.postgres)}@127.0.0.1:${ports.postgres}/fabra`,
    FABRA_REDIS_URL: `redis://:${encodeURIComponent(passwords.redis)}@127.0.0.1:${ports.redis}`,
  }
}

export function environmentText(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  return `${comment(['Generated passwords. Keep this file out of git.'])}${lines.join('')}`
}

/** @param port On this machine; null: reached from inside the stack only. */
export function postgresService(port: number | null): Data {
  return {
    image: 'docker.io/library/postgres:17-bookworm',
    restart: 'unless-stopped',
    ...(port === null ? {} : { ports: [`127.0.0.1:${port}:5432`] }),
    // Empty where the data is older than the two roles; it is read only when data is made.
    environment: { POSTGRES_PASSWORD: '${POSTGRES_ADMIN_PASSWORD:-}', FABRA_PASSWORD: '${POSTGRES_PASSWORD:?}' },
    configs: [{ source: 'roles', target: '/docker-entrypoint-initdb.d/10-roles.sh' }],
    volumes: ['postgres:/var/lib/postgresql/data'],
    healthcheck: {
      test: ['CMD', 'pg_isready', '--username=fabra', '--dbname=fabra'],
      interval: '5s',
      timeout: '3s',
      retries: 10,
      start_period: '30s',
    },
    ...HARDENED,
    // It hands its folder over and then runs as its own user.
    cap_add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID'],
    tmpfs: ['/tmp', '/run/postgresql'],
    shm_size: '256mb',
    stop_grace_period: '60s',
  }
}

/** Values that were evicted would be missing until their next refresh: it refuses writes before it forgets. */
export function redisService(port: number | null): Data {
  return {
    image: 'docker.io/library/redis:8-bookworm',
    restart: 'unless-stopped',
    command: ['redis-server', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--requirepass', '${REDIS_PASSWORD:?}'],
    ...(port === null ? {} : { ports: [`127.0.0.1:${port}:6379`] }),
    environment: { REDISCLI_AUTH: '${REDIS_PASSWORD:?}' },
    volumes: ['redis:/data'],
    healthcheck: { test: ['CMD', 'redis-cli', 'ping'], interval: '5s', timeout: '3s', retries: 10, start_period: '10s' },
    ...HARDENED,
    cap_add: ['CHOWN', 'DAC_OVERRIDE', 'SETGID', 'SETUID'],
    tmpfs: ['/tmp'],
    stop_grace_period: '30s',
  }
}

/** Run once, when the data is made: an ordinary role that owns its database. */
const ROLES = `psql --username postgres --set ON_ERROR_STOP=1 --set password="$$FABRA_PASSWORD" <<'SQL'
CREATE ROLE fabra LOGIN PASSWORD :'password';
CREATE DATABASE fabra OWNER fabra;
SQL
`

export function stackConfigs(): Data {
  return { roles: { content: ROLES } }
}

export function stackVolumes(): Data {
  return { postgres: {}, redis: {} }
}

const HARDENED: Data = { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }
