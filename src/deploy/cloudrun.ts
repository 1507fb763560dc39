import { imageFiles } from './dockerfile.ts'
import { type Deployment, type DeployOptions, keyStep, nameRule, type Platform, SETTINGS } from './platform.ts'
import { regionsOf } from './regions.ts'
import { type Data, yamlText } from './text.ts'
import { uploadList } from './upload-list.ts'

/** What Cloud Run gives a container by itself, and tells it as PORT. */
const CLOUD_RUN_PORT = 8080
/** Stands in service.yaml for a project that gcloud fills in. */
const PROJECT = '$PROJECT_ID'

/** Named to the command: a .gcloudignore that is there is about something else. */
const UPLOADED = 'service.yaml.gcloudignore'

export const cloudrun: Platform = {
  name: 'cloudrun',
  title: 'Cloud Run',
  regions: regionsOf('cloudrun', 'us-east4'),
  nameRule: nameRule(49),
  archs: ['x64'],
  maxReplicas: 100,
  needsImage: true,
  plan: (options) => ({
    files: [
      ...imageFiles(options),
      { path: 'service.yaml', text: yamlText(header(options), service(options)) },
      { path: UPLOADED, text: uploadList(options) },
    ],
    next: next(options),
    secrets: SETTINGS,
  }),
}

function service(options: DeployOptions): Data {
  const { name, replicas } = options
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: {
      name,
      annotations: { 'run.googleapis.com/ingress': 'all' },
    },
    spec: {
      template: {
        metadata: {
          annotations: {
            'autoscaling.knative.dev/minScale': String(replicas),
            'autoscaling.knative.dev/maxScale': String(Math.max(10, replicas * 2)),
            // Features are refreshed between requests, too.
            'run.googleapis.com/cpu-throttling': 'false',
            'run.googleapis.com/startup-cpu-boost': 'true',
            'run.googleapis.com/execution-environment': 'gen2',
            // PostgreSQL and Redis are reached at their private addresses.
            'run.googleapis.com/network-interfaces': JSON.stringify([{ network: 'default', subnetwork: 'default' }]),
            'run.googleapis.com/vpc-access-egress': 'private-ranges-only',
          },
        },
        spec: {
          serviceAccountName: account(options),
          containerConcurrency: 400,
          timeoutSeconds: 300,
          containers: [
            {
              name: 'fabra',
              image: image(options),
              ports: [{ name: 'http1', containerPort: CLOUD_RUN_PORT }],
              env: [
                { name: 'FABRA_ENV', value: 'production' },
                ...SETTINGS.map((setting) => ({
                  name: setting,
                  valueFrom: { secretKeyRef: { name: secretName(name, setting), key: 'latest' } },
                })),
              ],
              resources: { limits: { cpu: '2', memory: '1Gi' } },
              startupProbe: {
                httpGet: { path: '/ready', port: CLOUD_RUN_PORT },
                periodSeconds: 5,
                timeoutSeconds: 3,
                failureThreshold: 24,
              },
              livenessProbe: {
                httpGet: { path: '/health', port: CLOUD_RUN_PORT },
                periodSeconds: 10,
                timeoutSeconds: 3,
                failureThreshold: 3,
              },
            },
          ],
        },
      },
      traffic: [{ latestRevision: true, percent: 100 }],
    },
  }
}

function secretName(name: string, setting: string): string {
  return `${name}-${setting.toLowerCase().replace('fabra_', '').replaceAll('_', '-')}`
}

/** Google's ids of accounts are at most 30 letters long. */
function accountId(name: string): string {
  return `fabra-${name}`.slice(0, 30).replace(/-+$/, '')
}

function account({ name, googleProject }: DeployOptions): string {
  return `${accountId(name)}@${googleProject ?? PROJECT}.iam.gserviceaccount.com`
}

function image({ name, region, version, googleProject }: DeployOptions): string {
  return `${region}-docker.pkg.dev/${googleProject ?? PROJECT}/${name}/${name}:${version}`
}

function header({ name, googleProject }: DeployOptions): string[] {
  return [
    `${name} on Cloud Run, written by "fabra deploy cloudrun". Next: build the image, create the secrets,`,
    'then "gcloud run services replace"; "fabra deploy cloudrun --dry-run" prints every command.',
    ...(googleProject === null ? [`${PROJECT} is filled in by those commands. With --project it is written here.`] : []),
  ]
}

function next(options: DeployOptions): Deployment['next'] {
  const { name, region, googleProject } = options
  const flags = googleProject === null ? '' : ` --project ${googleProject}`
  const replace =
    googleProject === null
      ? `sed "s/${PROJECT.replace('$', '[$]')}/$PROJECT_ID/g" service.yaml | gcloud run services replace - --region ${region}`
      : `gcloud run services replace service.yaml --region ${region}${flags}`
  const apis = ['run', 'compute', 'artifactregistry', 'cloudbuild', 'secretmanager'].map((api) => `${api}.googleapis.com`).join(' ')
  const words = {
    FABRA_POSTGRES_URL: 'paste the address of your PostgreSQL (Cloud SQL at its private address)',
    FABRA_REDIS_URL: 'paste the address of your Redis (Memorystore)',
    FABRA_API_KEYS: 'paste what stands behind FABRA_API_KEYS=',
  }
  return [
    ...(googleProject === null ? [{ why: 'your project', command: 'PROJECT_ID=$(gcloud config get project)' }] : []),
    { why: 'what is used of Google Cloud', command: `gcloud services enable ${apis}${flags}` },
    {
      why: 'a place for the image',
      command: `gcloud artifacts repositories create ${name} --repository-format docker --location ${region}${flags}`,
    },
    { why: 'the image', command: `gcloud builds submit --ignore-file ${UPLOADED} --tag "${image(options)}"${flags} .` },
    { why: 'the account that it runs as', command: `gcloud iam service-accounts create ${accountId(name)}${flags}` },
    keyStep(options),
    ...SETTINGS.flatMap((setting) => [
      {
        why: words[setting],
        command: `read -rs VALUE && printf %s "$VALUE" | gcloud secrets create ${secretName(name, setting)} --data-file=-${flags}`,
      },
      {
        why: 'which that account may read',
        command: `gcloud secrets add-iam-policy-binding ${secretName(name, setting)} --member "serviceAccount:${account(options)}" --role roles/secretmanager.secretAccessor${flags}`,
      },
    ]),
    { why: 'start', command: replace },
    {
      why: 'let requests in; Fabra asks for API keys itself',
      command: `gcloud run services add-iam-policy-binding ${name} --region ${region} --member allUsers --role roles/run.invoker${flags}`,
    },
    {
      why: 'look',
      command: `curl "$(gcloud run services describe ${name} --region ${region} --format 'value(status.url)'${flags})/ready"`,
    },
  ]
}
