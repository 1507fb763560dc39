/** Generated files against schemas that others wrote, read by other parsers than wrote them. */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { stackFile } from '../../src/deploy/stack.ts'
import { deployOptions, fileOf, optionsToTry, platformOf } from './options.ts'
import { RENDER } from './render-schema.ts'

const ajv = new Ajv({ strict: false, allErrors: true })
addFormats.default(ajv)

function schemaOf(name: string): object {
  return JSON.parse(readFileSync(join(import.meta.dir, '../fixtures/schemas', name), 'utf8')) as object
}

/** @returns a function that gives the schema's complaints; none is the good answer. */
function checkerOf(schema: object): (value: unknown) => string[] {
  const validate = ajv.compile(schema)
  return (value) => (validate(value) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`))
}

describe('fly.toml', () => {
  const platform = platformOf('fly')
  const check = checkerOf(schemaOf('fly.json'))

  test('passes the schema, whatever the options', () => {
    for (const options of optionsToTry(platform)) expect(check(Bun.TOML.parse(fileOf(platform, options, 'fly.toml')))).toEqual([])
  })

  test('uses only keys that flyctl knows', () => {
    // The schema lets unknown keys pass at most levels. These are the ones of flyctl's configuration that are used here.
    const known = {
      '': 'app primary_region kill_signal kill_timeout build deploy env http_service metrics vm',
      build: 'dockerfile',
      deploy: 'release_command strategy wait_timeout',
      http_service: 'internal_port force_https auto_stop_machines auto_start_machines min_machines_running concurrency checks',
    }
    const config = Bun.TOML.parse(fileOf(platform, deployOptions(platform), 'fly.toml')) as Record<string, object>
    for (const [section, keys] of Object.entries(known))
      expect(keys.split(' ')).toEqual(expect.arrayContaining(Object.keys(section === '' ? config : (config[section] ?? {}))))
  })

  test('never lets a machine sleep, and waits longer for its end than the server needs', () => {
    const config = Bun.TOML.parse(fileOf(platform, deployOptions(platform, { replicas: 3 }), 'fly.toml'))
    expect(config).toMatchObject({
      kill_signal: 'SIGTERM',
      kill_timeout: '15s',
      deploy: { release_command: 'migrate', strategy: 'rolling' },
      http_service: { auto_stop_machines: 'off', min_machines_running: 3, checks: [{ path: '/ready' }] },
    })
  })

  test('has its metrics scraped at a port that no service leads to', () => {
    const config = Bun.TOML.parse(fileOf(platform, deployOptions(platform), 'fly.toml'))
    expect(config).toMatchObject({
      env: { FABRA_PORT: '8000', FABRA_METRICS_PORT: '9091' },
      http_service: { internal_port: 8000 },
      metrics: [{ port: 9091, path: '/metrics' }],
    })
  })

  test('the check goes red for a wrong value', () => {
    const config = Bun.TOML.parse(fileOf(platform, deployOptions(platform), 'fly.toml')) as Record<string, object>
    expect(check({ ...config, http_service: { ...config['http_service'], auto_stop_machines: true } })).not.toEqual([])
  })
})

describe('service.yaml of Cloud Run', () => {
  const platform = platformOf('cloudrun')
  const check = checkerOf(schemaOf('cloud-run-v1.json'))

  test('passes the schema, whatever the options', () => {
    for (const options of optionsToTry(platform)) {
      const service = Bun.YAML.parse(fileOf(platform, options, 'service.yaml'))
      expect(check(service)).toEqual([])
      expect(service).toMatchObject({ metadata: { name: options.name } })
    }
  })

  test('the check goes red for a wrong type and for an unknown key', () => {
    const text = fileOf(platform, deployOptions(platform), 'service.yaml')
    expect(check(Bun.YAML.parse(text.replace('containerConcurrency: 400', 'containerConcurrency: many')))).not.toEqual([])
    expect(check(Bun.YAML.parse(text.replace('timeoutSeconds: 300', 'timeoutSecond: 300')))).not.toEqual([])
  })
})

describe('compose.yaml', () => {
  const platform = platformOf('docker')
  const check = checkerOf(schemaOf('compose-spec.json'))

  test('passes the schema, whatever the options', () => {
    for (const options of optionsToTry(platform)) expect(check(Bun.YAML.parse(fileOf(platform, options, 'compose.yaml')))).toEqual([])
  })

  test('of "fabra setup" passes the schema, and listens on this machine alone', () => {
    const stack = Bun.YAML.parse(stackFile({ postgres: 15432, redis: 16379 }).text) as { services: Record<string, { ports: string[] }> }
    expect(check(stack)).toEqual([])
    expect(Object.values(stack.services).map((service) => service.ports)).toEqual([['127.0.0.1:15432:5432'], ['127.0.0.1:16379:6379']])
  })

  test('runs nothing with a writable root or more rights than it needs', () => {
    const stack = Bun.YAML.parse(fileOf(platform, deployOptions(platform), 'compose.yaml')) as { services: Record<string, object> }
    for (const service of Object.values(stack.services))
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
  })

  test('the check goes red for an unknown key', () => {
    const text = fileOf(platform, deployOptions(platform), 'compose.yaml')
    expect(check(Bun.YAML.parse(text.replaceAll('read_only:', 'readonly:')))).not.toEqual([])
  })
})

describe('render.yaml', () => {
  const platform = platformOf('render')
  const check = checkerOf(RENDER)

  test('keeps to the reference of Blueprints, whatever the options', () => {
    for (const options of optionsToTry(platform)) expect(check(Bun.YAML.parse(fileOf(platform, options, 'render.yaml')))).toEqual([])
  })

  test('says where it is in a repository that holds more', () => {
    const blueprint = Bun.YAML.parse(fileOf(platform, deployOptions(platform, { repositoryPath: 'services/fraud' }), 'render.yaml'))
    expect(blueprint).toMatchObject({
      services: [{ dockerfilePath: './services/fraud/Dockerfile', dockerContext: './services/fraud' }, {}],
    })
  })

  test('lets nobody in from outside, and names only services that it makes', () => {
    const text = fileOf(platform, deployOptions(platform), 'render.yaml')
    const blueprint = Bun.YAML.parse(text) as {
      services: { name: string; ipAllowList?: unknown }[]
      databases: { name: string; ipAllowList?: unknown }[]
    }
    const made = [...blueprint.services, ...blueprint.databases].map((one) => one.name)
    for (const [, name = ''] of text.matchAll(/from(?:Database|Service):\n(?: +type: .*\n)? +name: (.*)/g)) expect(made).toContain(name)
    expect([...blueprint.services.slice(1), ...blueprint.databases].map((one) => one.ipAllowList)).toEqual([[], []])
  })

  test('the check goes red for a key of the past', () => {
    const text = fileOf(platform, deployOptions(platform), 'render.yaml')
    expect(check(Bun.YAML.parse(text.replace('runtime: docker', 'env: docker')))).not.toEqual([])
  })
})
