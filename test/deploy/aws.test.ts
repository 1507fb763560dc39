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

async function run(tool: string, args: readonly string[], stdin = ''): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([join(TOOLS, tool), ...args], { stdin: new Blob([stdin]), stdout: 'pipe', stderr: 'pipe', timeout: LIMIT_MS })
  const [exitCode, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  return { exitCode, stdout, stderr }
}

async function validate(files: readonly Files[]): Promise<readonly Result[]> {
  const { exitCode, stdout, stderr } = await run('python', [join(import.meta.dir, 'validate_aws.py')], JSON.stringify(files))
  if (exitCode !== 0) throw new Error(`validate_aws.py failed.\n${stderr}`)
  return JSON.parse(stdout) as Result[]
}

const plain = deployOptions(platform)
/** The first with all that is needed around it. */
const REGISTERED = [plain, deployOptions(platform, { region: 'eu-west-1', arch: 'arm64', replicas: 3, name: 'fraud' })]
const TRIED = optionsToTry(platform)
const WRONG = filesOf(plain)

/** All in one process: it takes seconds to load what it asks. */
let results: readonly Result[]
beforeAll(async () => {
  results = await validate([
    { ...WRONG, task: WRONG.task.replace('stopTimeout', 'stopTimeouts') },
    ...REGISTERED.map((options, i) => ({
      ...filesOf(options),
      register: true,
      ...(i === 0 ? { stack: fileOf(platform, options, 'cloudformation.yaml') } : {}),
    })),
    ...TRIED.map(filesOf),
  ])
}, LIMIT_MS)

describe('task-definition.json and service.json', () => {
  test('say what the API understands, whatever the options', () => {
    const tried = results.slice(1 + REGISTERED.length)
    expect(tried.length).toBe(TRIED.length)
    for (const result of tried) expect(result).toEqual({ problems: '' })
  })

  test('are registered and started by a local AWS', () => {
    for (const [i, { name, region, replicas }] of REGISTERED.entries()) {
      expect(results[1 + i]).toMatchObject({
        problems: '',
        taskDefinition: `arn:aws:ecs:${region}:123456789012:task-definition/${name}:1`,
        service: `arn:aws:ecs:${region}:123456789012:service/default/${name}`,
        desiredCount: replicas,
        containers: [{ readonlyRootFilesystem: true, user: '65532:65532', stopTimeout: 15 }],
      })
    }
  })

  test('the check goes red for a wrong word', () => {
    expect(results[0]?.problems).toContain('stopTimeouts')
  })
})

describe('cloudformation.yaml', () => {
  let folder = ''
  let complaints: readonly { readonly Filename: string; readonly Rule: { readonly Id: string } }[]
  beforeAll(async () => {
    folder = temporaryFolder()
    const long = deployOptions(platform, { arch: 'arm64', replicas: 3, name: `a${'-1'.repeat(15)}` })
    const [text, other] = [plain, long].map((options) => fileOf(platform, options, 'cloudformation.yaml')) as [string, string]
    const texts = { 'plain.yaml': text, 'long.yaml': other, 'unpaired.yaml': text.replace('Memory: "1024"', 'Memory: "8192"') }
    const paths = Object.entries(texts).map(([name, written]) => {
      writeFileSync(join(folder, name), written)
      return join(folder, name)
    })
    const { exitCode, stdout, stderr } = await run('cfn-lint', ['--non-zero-exit-code', 'informational', '--format', 'json', ...paths])
    expect({ exitCode: exitCode === 0, stderr }).toEqual({ exitCode: false, stderr: '' })
    complaints = JSON.parse(stdout)
  }, LIMIT_MS)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('passes cfn-lint without a word; a processor and memory that Fargate does not pair do not', () => {
    expect(complaints.length).toBeGreaterThan(0)
    expect(complaints.filter(({ Filename }) => Filename !== join(folder, 'unpaired.yaml'))).toEqual([])
  })

  test('makes everything that a service needs around it', () => {
    const result = results[1]
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
  })
})
