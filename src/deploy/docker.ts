// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are references that others resolve.
import { imageFiles } from './dockerfile.ts'
import { type Deployment, type DeployOptions, keyStep, nameRule, type Platform, PORT, STOP_SECONDS } from './platform.ts'
import { environmentText, postgresService, redisService, stackConfigs, stackSettings, stackVolumes } from './stack.ts'
import { type Data, yamlText } from './text.ts'

export const docker: Platform = {
  name: 'docker',
  title: 'Docker Compose',
  regions: null,
  nameRule: nameRule(40),
  archs: ['x64', 'arm64'],
  maxReplicas: 20,
  needsImage: true,
  plan: (options) => ({
    files: [
      ...imageFiles(options),
      { path: 'compose.yaml', text: yamlText(header(options), compose(options)) },
      {
        path: '.env',
        text: environmentText(stackSettings({ postgres: options.secret(), postgresAdmin: options.secret(), redis: options.secret() })),
        mode: 0o600,
        ifMissing: true,
      },
    ],
    next: next(options),
    secrets: ['FABRA_API_KEYS'],
  }),
}

function compose({ name, version, replicas, arch }: DeployOptions): Data {
  return {
    services: {
      fabra: {
        image: `${name}:${version}`,
        build: { context: '.' },
        // What the executable in it is for, whatever the machine that builds.
        platform: arch === 'arm64' ? 'linux/arm64' : 'linux/amd64',
        restart: 'unless-stopped',
        // Only this machine: put a proxy with a certificate in front.
        ports: [`127.0.0.1:${replicas === 1 ? PORT : `${PORT}-${PORT + replicas - 1}`}:${PORT}`],
        environment: {
          FABRA_ENV: 'production',
          FABRA_POSTGRES_URL: 'postgres://fabra:${POSTGRES_PASSWORD:?}@postgres:5432/fabra',
          FABRA_REDIS_URL: 'redis://:${REDIS_PASSWORD:?}@redis:6379',
          FABRA_API_KEYS: '${FABRA_API_KEYS:?run fabra keys create --operator and add the line it prints to .env}',
        },
        depends_on: { postgres: { condition: 'service_healthy' }, redis: { condition: 'service_healthy' } },
        read_only: true,
        tmpfs: ['/tmp'],
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        stop_grace_period: `${STOP_SECONDS}s`,
        ...(replicas === 1 ? {} : { deploy: { replicas } }),
      },
      postgres: postgresService(null),
      redis: redisService(null),
    },
    configs: stackConfigs(),
    volumes: stackVolumes(),
  }
}

function header({ name }: DeployOptions): string[] {
  return [
    `${name} with PostgreSQL and Redis, written by "fabra deploy docker". Next: "fabra keys create --operator", add the line`,
    'FABRA_API_KEYS=… that it prints to .env, then "docker compose up --detach --wait". Passwords are in .env: keep it out of git.',
  ]
}

function next(options: DeployOptions): Deployment['next'] {
  return [
    keyStep(options),
    { why: 'paste that line', command: `read -r LINE && printf '%s\\n' "$LINE" >> .env` },
    { why: 'build and start', command: 'docker compose up --build --detach --wait' },
    { why: 'look', command: `curl http://127.0.0.1:${PORT}/ready` },
  ]
}
