/** Files for AWS against cfn-lint, botocore's own models and moto, a local AWS that really registers the task and creates the service. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DeployOptions } from '../../src/deploy/platform.ts'
import { temporaryFolder } from '../support/binary.ts'
import { deployOptions, fileOf, optionsToTry, platformOf } from './options.ts'

const platform = platformOf('ecs')
/** Made by scripts/setup --test. */
const TOOLS = join(import.meta.dir, '../../.bun/validators/bin')
const LIMIT_MS = 120_000

interface Result {
  readonly problems: string
  readonly taskDefinition?: string
  readonly service?: string
  readonly containers?: readonly Record<string, unknown>[]
  readonly desiredCount?: number
  readonly stack?: { readonly status: string; readonly resources: readonly string[] } | null
}

interface Files {
  readonly region: string
  readonly task: string
  readonly service: string
  readonly stack?: string
  /** In the local AWS, not only against its model. */
  readonly register?: boolean
}

function filesOf(options: DeployOptions): Files {
  const own = { ...options, awsAccount: options.awsAccount ?? '123456789012' }
  return { region: options.region, task: fileOf(platform, own, 'task-definition.json'), service: fileOf(platform, own, 'service.json') }
}

function validate(files: readonly Files[]): readonly Result[] {
  const python = Bun.spawnSync([join(TOOLS, 'python'), join(import.meta.dir, 'validate_aws.py')], {
    stdin: new TextEncoder().encode(JSON.stringify(files)),
    timeout: LIMIT_MS,
  })
  if (python.exitCode !== 0) throw new Error(`validate_aws.py failed.\n${python.stderr}`)
  return JSON.parse(python.stdout.toString()) as Result[]
}

describe('task-definition.json and service.json', () => {
  test(
    'say what the API understands, whatever the options',
    () => {
      for (const result of validate(optionsToTry(platform).map(filesOf))) expect(result).toEqual({ problems: '' })
    },
    LIMIT_MS,
  )

  test(
    'are registered and started by a local AWS',
    () => {
      const tried = [deployOptions(platform), deployOptions(platform, { region: 'eu-west-1', arch: 'arm64', replicas: 3, name: 'fraud' })]
      const results = validate(tried.map((options) => ({ ...filesOf(options), register: true })))
      for (const [i, { name, region, replicas }] of tried.entries()) {
        expect(results[i]).toMatchObject({
          problems: '',
          taskDefinition: `arn:aws:ecs:${region}:123456789012:task-definition/${name}:1`,
          service: `arn:aws:ecs:${region}:123456789012:service/default/${name}`,
          desiredCount: replicas,
          containers: [{ readonlyRootFilesystem: true, user: '65532:65532', stopTimeout: 15 }],
        })
      }
    },
    LIMIT_MS,
  )

  test(
    'the check goes red for a wrong word',
    () => {
      const files = filesOf(deployOptions(platform))
      const [wrong] = validate([{ ...files, task: files.task.replace('stopTimeout', 'stopTimeouts') }])
      expect(wrong?.problems).toContain('stopTimeouts')
    },
    LIMIT_MS,
  )
})

describe('cloudformation.yaml', () => {
  let folder = ''
  beforeAll(() => {
    folder = temporaryFolder()
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const lint = (texts: readonly string[]) => {
    const paths = texts.map((text, i) => {
      const path = join(folder, `${i}.yaml`)
      writeFileSync(path, text)
      return path
    })
    const { exitCode, stdout, stderr } = Bun.spawnSync([join(TOOLS, 'cfn-lint'), '--non-zero-exit-code', 'informational', ...paths], {
      timeout: LIMIT_MS,
    })
    return { exitCode, said: `${stdout}${stderr}` }
  }

  test(
    'passes cfn-lint without a word',
    () => {
      const tried = [deployOptions(platform), deployOptions(platform, { arch: 'arm64', replicas: 3, name: `a${'-1'.repeat(15)}` })]
      expect(lint(tried.map((options) => fileOf(platform, options, 'cloudformation.yaml')))).toEqual({ exitCode: 0, said: '' })
    },
    LIMIT_MS,
  )

  test(
    'the check goes red for a processor and memory that Fargate does not pair',
    () => {
      const text = fileOf(platform, deployOptions(platform), 'cloudformation.yaml')
      expect(lint([text.replace('Memory: "1024"', 'Memory: "8192"')]).exitCode).not.toBe(0)
    },
    LIMIT_MS,
  )

  test(
    'makes everything that a service needs around it',
    () => {
      const options = deployOptions(platform)
      const [result] = validate([{ ...filesOf(options), register: true, stack: fileOf(platform, options, 'cloudformation.yaml') }])
      expect(result?.problems).toBe('')
      expect(result?.stack).toMatchObject({
        status: 'CREATE_COMPLETE',
        resources: [
          'Cluster',
          'ExecutionRole',
          'Listener',
          'LoadBalancer',
          'LoadBalancerGroup',
          'Logs',
          'Service',
          'ServiceGroup',
          'Targets',
          'Task',
          'TaskRole',
        ],
      })
    },
    LIMIT_MS,
  )
})
