import { imageFiles } from './dockerfile.ts'
import {
  type Deployment,
  type DeployOptions,
  keyStep,
  METRICS_PORT,
  nameRule,
  type Platform,
  PORT,
  SETTINGS,
  STOP_SECONDS,
} from './platform.ts'
import { regionsOf } from './regions.ts'
import { type Data, tomlText } from './text.ts'

/** Where there is no managed PostgreSQL, the nearest place that has it. */
const POSTGRES_NEAR: Readonly<Record<string, string>> = { ewr: 'iad', dfw: 'ord', cdg: 'fra', arn: 'fra', bom: 'sin', jnb: 'fra' }

export const fly: Platform = {
  name: 'fly',
  title: 'Fly.io',
  regions: regionsOf('fly', 'iad'),
  nameRule: nameRule(63),
  archs: ['x64'],
  maxReplicas: 100,
  needsImage: true,
  plan: (options) => ({
    files: [...imageFiles(options), { path: 'fly.toml', text: tomlText(header(options), config(options)) }],
    next: next(options),
    secrets: SETTINGS,
  }),
}

function config({ name, region, replicas }: DeployOptions): Data {
  return {
    app: name,
    primary_region: region,
    kill_signal: 'SIGTERM',
    kill_timeout: `${STOP_SECONDS}s`,
    build: { dockerfile: 'Dockerfile' },
    // One machine alone is replaced by a second one that is ready first.
    deploy: { release_command: 'migrate', strategy: replicas === 1 ? 'bluegreen' : 'rolling', wait_timeout: '5m' },
    env: { FABRA_ENV: 'production', FABRA_PORT: String(PORT), FABRA_METRICS_PORT: String(METRICS_PORT) },
    http_service: {
      internal_port: PORT,
      force_https: true,
      // A machine that sleeps refreshes nothing.
      auto_stop_machines: 'off',
      auto_start_machines: true,
      min_machines_running: replicas,
      concurrency: { type: 'requests', soft_limit: 400, hard_limit: 1_000 },
      checks: [{ grace_period: '30s', interval: '10s', timeout: '2s', method: 'GET', path: '/ready' }],
    },
    // No service leads to this port from outside: only Fly's own Prometheus reaches it.
    metrics: [{ port: METRICS_PORT, path: '/metrics' }],
    vm: [{ size: 'shared-cpu-2x', memory: '1gb' }],
  }
}

function header({ name }: DeployOptions): string[] {
  return [
    `${name} on Fly.io, written by "fabra deploy fly". Next: fly apps create, PostgreSQL, Redis and their secrets,`,
    'then "fly deploy"; "fabra deploy fly --dry-run" prints every command.',
  ]
}

function next(options: DeployOptions): Deployment['next'] {
  const { name, region, replicas } = options
  const near = POSTGRES_NEAR[region]
  return [
    { why: 'the app', command: `fly apps create ${name}` },
    {
      why: near === undefined ? 'PostgreSQL' : `PostgreSQL; ${near} is the nearest region to ${region} that has it`,
      command: `fly mpg create --name ${name}-postgres --region ${near ?? region}`,
    },
    {
      why: 'choose it in the list; this sets FABRA_POSTGRES_URL',
      command: `fly mpg attach --app ${name} --variable-name FABRA_POSTGRES_URL`,
    },
    {
      why: 'Redis; it prints a redis:// address',
      command: `fly redis create --name ${name}-redis --region ${region} --no-replicas --disable-eviction`,
    },
    { why: 'paste that address', command: `read -r URL && fly secrets set --app ${name} --stage FABRA_REDIS_URL="$URL"` },
    keyStep(options),
    { why: 'paste that line', command: `read -r LINE && fly secrets set --app ${name} --stage "$LINE"` },
    { why: 'build and start', command: `fly deploy${replicas === 1 ? ' --ha=false' : ''}` },
    ...(replicas > 1 ? [{ why: `${replicas} machines`, command: `fly scale count ${replicas} --app ${name} --yes` }] : []),
    { why: 'look', command: `curl https://${name}.fly.dev/ready` },
  ]
}
