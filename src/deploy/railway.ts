import { imageFiles } from './dockerfile.ts'
import { type Deployment, type DeployOptions, keyStep, nameRule, type PackageManager, type Platform, STOP_SECONDS } from './platform.ts'
import { regionsOf } from './regions.ts'
import { uploadList } from './upload-list.ts'

export const railway: Platform = {
  name: 'railway',
  title: 'Railway',
  regions: regionsOf('railway', 'us-east4-eqdc4a'),
  nameRule: nameRule(32),
  archs: ['x64'],
  maxReplicas: 50,
  needsImage: true,
  plan: (options) => ({
    files: [
      ...imageFiles(options),
      { path: '.railway/railway.ts', text: programText(options) },
      // It goes before what .gitignore says.
      { path: '.railwayignore', text: uploadList(options) },
    ],
    next: next(options),
    secrets: ['FABRA_API_KEYS'],
  }),
}

/** TypeScript as it stands, among values that are written as JSON. */
class Code {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Literal = string | number | boolean | Code | readonly Literal[] | { readonly [key: string]: Literal }

function programText(options: DeployOptions): string {
  const { name, region, replicas } = options
  const settings: Literal = {
    // The files of this folder, sent by "railway up".
    source: new Code('empty()'),
    build: { builder: 'DOCKERFILE', dockerfilePath: 'Dockerfile' },
    healthcheck: '/ready',
    healthcheckTimeout: 120,
    replicas: { [region]: replicas },
    deploy: { restartPolicyType: 'ALWAYS', drainingSeconds: STOP_SECONDS, overlapSeconds: 5, sleepApplication: false },
    env: {
      FABRA_ENV: 'production',
      FABRA_POSTGRES_URL: new Code('database.env.DATABASE_URL'),
      FABRA_REDIS_URL: new Code('cache.env.REDIS_URL'),
      FABRA_API_KEYS: new Code('preserve()'),
    },
  }
  return `// ${name} on Railway, written by "fabra deploy railway". Next: "railway config apply", set FABRA_API_KEYS, "railway up";
// "fabra deploy railway --dry-run" prints every command.
import { defineRailway, empty, postgres, preserve, project, redis, service } from "railway/iac";

export default defineRailway(() => {
  const database = postgres(${JSON.stringify(`${name}-postgres`)}, ${literal({ region }, 1)});
  const cache = redis(${JSON.stringify(`${name}-redis`)}, ${literal({ region }, 1)});
  const features = service(${JSON.stringify(name)}, ${literal(settings, 1)});

  return project(${JSON.stringify(name)}, { resources: [database, cache, features] });
});
`
}

function literal(value: Literal, depth: number): string {
  if (value instanceof Code) return value.text
  if (typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => literal(item, depth)).join(', ')}]`
  const indent = '  '.repeat(depth + 1)
  const lines = Object.entries(value).map(([key, item]) => {
    const name = /^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key)
    return `${indent}${name}: ${literal(item, depth + 1)},\n`
  })
  return `{\n${lines.join('')}${'  '.repeat(depth)}}`
}

/** The lock file must say the same as package.json when the image is built. */
const ADD: Readonly<Record<PackageManager, string>> = {
  npm: 'npm install --save-dev',
  yarn: 'yarn add --dev',
  pnpm: 'pnpm add --save-dev',
  bun: 'bun add --dev',
}

function next(options: DeployOptions): Deployment['next'] {
  const { name } = options
  return [
    { why: 'the project, linked to this folder', command: `railway init --name ${name}` },
    { why: 'what .railway/railway.ts imports', command: `${ADD[options.manager]} railway@3` },
    { why: 'PostgreSQL, Redis and the service (needs the railway command line 5.42.1 or newer)', command: 'railway config apply' },
    keyStep(options),
    { why: 'paste that line', command: `read -r LINE && railway variable set --service ${name} "$LINE"` },
    { why: 'build and start', command: `railway up --service ${name}` },
    { why: 'an address; try it with /ready', command: `railway domain --service ${name}` },
  ]
}
