import { archiveName, imageFiles } from './dockerfile.ts'
import { type Deployment, type DeployOptions, keyStep, nameRule, type Platform, STOP_SECONDS } from './platform.ts'
import { regionsOf } from './regions.ts'
import { type Data, shellWord, yamlText } from './text.ts'

export const render: Platform = {
  name: 'render',
  title: 'Render',
  regions: regionsOf('render', 'virginia'),
  nameRule: nameRule(40),
  archs: ['x64'],
  maxReplicas: 100,
  needsImage: true,
  plan: (options) => ({
    files: [...imageFiles(options), { path: 'render.yaml', text: yamlText(header(options), blueprint(options)) }],
    next: next(options),
    secrets: ['FABRA_API_KEYS'],
  }),
}

function blueprint({ name, region, replicas, repositoryPath }: DeployOptions): Data {
  // Both are looked for from the top of the repository.
  const folder = repositoryPath === '' ? '.' : `./${repositoryPath}`
  const postgres = `${name}-postgres`
  const redis = `${name}-redis`
  return {
    services: [
      {
        type: 'web',
        name,
        runtime: 'docker',
        plan: 'standard',
        region,
        dockerfilePath: `${folder}/Dockerfile`,
        dockerContext: folder,
        numInstances: replicas,
        healthCheckPath: '/ready',
        maxShutdownDelaySeconds: STOP_SECONDS,
        autoDeployTrigger: 'commit',
        envVars: [
          { key: 'FABRA_ENV', value: 'production' },
          { key: 'FABRA_POSTGRES_URL', fromDatabase: { name: postgres, property: 'connectionString' } },
          { key: 'FABRA_REDIS_URL', fromService: { type: 'keyvalue', name: redis, property: 'connectionString' } },
          // Asked for once, in the dashboard.
          { key: 'FABRA_API_KEYS', sync: false },
        ],
      },
      // Values that were evicted would be missing until their next refresh. No address may connect from outside.
      { type: 'keyvalue', name: redis, plan: 'starter', region, maxmemoryPolicy: 'noeviction', ipAllowList: [] },
    ],
    databases: [
      { name: postgres, plan: 'basic-1gb', region, postgresMajorVersion: '17', databaseName: 'fabra', user: 'fabra', ipAllowList: [] },
    ],
  }
}

function header({ name }: DeployOptions): string[] {
  return [
    `${name} on Render, written by "fabra deploy render". Next: commit these files, push, and`,
    'create a Blueprint from the repository: https://dashboard.render.com/select-repo?type=blueprint',
  ]
}

function next(options: DeployOptions): Deployment['next'] {
  const { repositoryPath, project } = options
  const archive = archiveName(options.arch)
  const written = 'render.yaml Dockerfile .dockerignore'
  const own = [...project.files, ...project.folders].map(shellWord).join(' ')
  const place = repositoryPath === '' ? '' : `; its Blueprint Path is ${repositoryPath}/render.yaml`
  return [
    keyStep(options),
    ...(options.release === null
      ? [
          {
            why: 'Render builds what is in the repository, and an executable is too large for git itself: Git LFS keeps it, or deploy with --release and it need not be there',
            command: `git lfs install --local && git lfs track ${archive} && git add --force .gitattributes ${archive}`,
          },
        ]
      : []),
    {
      why: 'the rest, and what goes into the image',
      command: `git add --force ${written} ${own} && git commit --message "Deploy to Render" && git push`,
    },
    {
      why: `create the Blueprint${place}; for FABRA_API_KEYS paste what stands behind FABRA_API_KEYS=`,
      command:
        'open "https://dashboard.render.com/select-repo?type=blueprint" || xdg-open "https://dashboard.render.com/select-repo?type=blueprint"',
    },
    { why: 'look', command: `curl https://${options.name}.onrender.com/ready` },
  ]
}
