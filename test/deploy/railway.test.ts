/** .railway/railway.ts against the types and the evaluation of the npm package that Railway's own command line uses. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  createRailwayContext,
  project,
  RAILWAY_GRAPH_VERSION,
  type RailwayGraph,
  type RailwayProgram,
  type ResourceNode,
  validateGraph,
} from 'railway/iac'
import { temporaryFolder } from '../support/binary.ts'
import { deployOptions, fileOf, optionsToTry, platformOf } from './options.ts'

const PROJECT = join(import.meta.dir, '../..')
const platform = platformOf('railway')

describe('.railway/railway.ts', () => {
  let folder = ''
  beforeAll(() => {
    folder = temporaryFolder()
    symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const write = (name: string, text: string) => {
    const path = join(folder, name)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
    return path
  }
  const typeErrors = () => {
    const flags = ['--noEmit', '--strict', '--module', 'preserve', '--target', 'esnext', '--skipLibCheck', '--types', '', '--ignoreConfig']
    const files = Array.from(new Bun.Glob('*/railway.ts').scanSync(folder))
    const tsc = Bun.spawnSync([join(PROJECT, 'node_modules/.bin/tsc'), ...flags, ...files], {
      cwd: folder,
      env: { ...process.env, PATH: `${PROJECT}/.bun:${process.env['PATH']}` },
    })
    return `${tsc.stdout}${tsc.stderr}`
  }

  test('passes the type check, whatever the options, and goes red for a wrong word', () => {
    for (const [i, options] of optionsToTry(platform).entries()) write(`${i}/railway.ts`, fileOf(platform, options, '.railway/railway.ts'))
    expect(typeErrors()).toBe('')
    write('wrong/railway.ts', fileOf(platform, deployOptions(platform), '.railway/railway.ts').replace('drainingSeconds', 'drainSeconds'))
    expect(typeErrors()).toContain('drainSeconds')
    rmSync(join(folder, 'wrong'), { recursive: true })
  })

  test('makes PostgreSQL, Redis and a service that is wired to both', async () => {
    const path = write('evaluated/railway.ts', fileOf(platform, deployOptions(platform, { replicas: 2 }), '.railway/railway.ts'))
    const { default: program } = (await import(path)) as { default: RailwayProgram }
    const graph = await graphOf(program)
    expect(validateGraph(graph)).toEqual([])
    expect(graph.resources.map((resource) => resource.address).sort()).toEqual([
      'database.my-features-postgres',
      'database.my-features-redis',
      'service.my-features',
    ])
    const service = graph.resources.find((resource) => resource.type === 'service')
    expect(service).toMatchObject({
      build: { builder: 'DOCKERFILE', dockerfilePath: 'Dockerfile' },
      deploy: { healthcheckPath: '/ready', drainingSeconds: 15, multiRegionConfig: { 'us-east4-eqdc4a': { numReplicas: 2 } } },
    })
    expect(JSON.stringify(service)).toContain('DATABASE_URL')
    expect(JSON.stringify(service)).toContain('REDIS_URL')
  })
})

/** What the command line compares with the project that runs. */
async function graphOf(program: RailwayProgram): Promise<RailwayGraph> {
  const { name, resources = [] } = await program(createRailwayContext(), project)
  return { version: RAILWAY_GRAPH_VERSION, project: { name }, environments: [], resources: resources.flat() as ResourceNode[], edges: [] }
}
