import { imageFiles } from './dockerfile.ts'
import { cloudFormation, parameter } from './ecs-stack.ts'
import {
  type Deployment,
  type DeployOptions,
  EXECUTABLE,
  keyStep,
  nameRule,
  type Platform,
  PORT,
  SETTINGS,
  STOP_SECONDS,
  serveArguments,
} from './platform.ts'
import { regionsOf } from './regions.ts'
import { type Data, jsonText, yamlText } from './text.ts'

/** Stands in the JSON files for an account that the AWS command line fills in. */
const ACCOUNT = '$AWS_ACCOUNT_ID'

export const ecs: Platform = {
  name: 'ecs',
  title: 'AWS ECS',
  regions: regionsOf('ecs', 'us-east-1'),
  // At least two letters: the registry of images takes no less.
  nameRule: nameRule(32, 2),
  archs: ['x64', 'arm64'],
  maxReplicas: 100,
  needsImage: true,
  plan: (options) => ({
    files: [
      // Fargate's own volumes belong to root unless the image says otherwise.
      ...imageFiles(options, { temporaryVolume: true }),
      { path: 'cloudformation.yaml', text: yamlText(header(options), cloudFormation(options, container(options))) },
      { path: 'task-definition.json', text: jsonText(taskDefinition(options)) },
      { path: 'service.json', text: jsonText(service(options)) },
    ],
    next: next(options),
    secrets: SETTINGS,
  }),
}

/** What both the task definition and the stack say of the container, in the words of the API. */
function container(options: DeployOptions): Data {
  return {
    name: 'fabra',
    essential: true,
    command: serveArguments(options),
    portMappings: [{ name: 'http', containerPort: PORT, protocol: 'tcp', appProtocol: 'http' }],
    environment: [
      { name: 'FABRA_ENV', value: 'production' },
      { name: 'FABRA_PORT', value: String(PORT) },
    ],
    // Fargate does not look at the image's own check.
    healthCheck: { command: ['CMD', EXECUTABLE, 'healthcheck'], interval: 10, timeout: 5, retries: 3, startPeriod: 60 },
    stopTimeout: STOP_SECONDS,
    user: '65532:65532',
    readonlyRootFilesystem: true,
    linuxParameters: { initProcessEnabled: true },
    mountPoints: [{ sourceVolume: 'tmp', containerPath: '/tmp', readOnly: false }],
    ulimits: [{ name: 'nofile', softLimit: 65_536, hardLimit: 65_536 }],
  }
}

function taskDefinition(options: DeployOptions): Data {
  const { name, region, version, awsAccount, arch } = options
  const account = awsAccount ?? ACCOUNT
  return {
    family: name,
    networkMode: 'awsvpc',
    requiresCompatibilities: ['FARGATE'],
    cpu: '512',
    memory: '1024',
    runtimePlatform: { cpuArchitecture: arch === 'arm64' ? 'ARM64' : 'X86_64', operatingSystemFamily: 'LINUX' },
    executionRoleArn: `arn:aws:iam::${account}:role/ecsTaskExecutionRole`,
    containerDefinitions: [
      {
        ...container(options),
        image: `${account}.dkr.ecr.${region}.amazonaws.com/${name}:${version}`,
        secrets: SETTINGS.map((setting) => ({
          name: setting,
          valueFrom: `arn:aws:ssm:${region}:${account}:parameter${parameter(name, setting)}`,
        })),
        logConfiguration: {
          logDriver: 'awslogs',
          options: {
            'awslogs-group': `/ecs/${name}`,
            'awslogs-region': region,
            'awslogs-stream-prefix': 'fabra',
            'awslogs-create-group': 'true',
            mode: 'non-blocking',
          },
        },
      },
    ],
    volumes: [{ name: 'tmp' }],
    tags: [{ key: 'app', value: name }],
  }
}

/** For a cluster that is there already; its subnets are given when the service is created. */
function service({ name, replicas }: DeployOptions): Data {
  return {
    serviceName: name,
    cluster: 'default',
    taskDefinition: name,
    desiredCount: replicas,
    launchType: 'FARGATE',
    platformVersion: 'LATEST',
    deploymentConfiguration: {
      deploymentCircuitBreaker: { enable: true, rollback: true },
      minimumHealthyPercent: 100,
      maximumPercent: 200,
    },
    enableExecuteCommand: false,
    enableECSManagedTags: true,
    propagateTags: 'TASK_DEFINITION',
  }
}

function header({ name }: DeployOptions): string[] {
  return [
    `${name} on AWS: cluster, service, load balancer, roles and log group, written by "fabra deploy ecs". Next: push the image,`,
    'put the secrets into the Parameter Store, then "aws cloudformation deploy"; "fabra deploy ecs --dry-run" prints every command.',
    'task-definition.json and service.json describe the same for a cluster that is there already.',
  ]
}

function next(options: DeployOptions): Deployment['next'] {
  const { name, region, version, awsAccount, arch } = options
  const account = awsAccount ?? ACCOUNT
  const registry = `${account}.dkr.ecr.${region}.amazonaws.com`
  const at = ` --region ${region}`
  const words = {
    FABRA_POSTGRES_URL: 'paste the address of your PostgreSQL (RDS)',
    FABRA_REDIS_URL: 'paste the address of your Redis (ElastiCache)',
    FABRA_API_KEYS: 'paste what stands behind FABRA_API_KEYS=',
  }
  const subnets = `$(aws ec2 describe-subnets${at} --filters Name=vpc-id,Values="$VPC" Name=default-for-az,Values=true --query 'Subnets[].SubnetId' --output text | tr '\\t' ',')`
  const network = `VpcId="$VPC" SubnetIds="${subnets}" NetworkCidr="$CIDR"`
  return [
    ...(awsAccount === null
      ? [{ why: 'your account', command: `AWS_ACCOUNT_ID=$(aws sts get-caller-identity${at} --query Account --output text)` }]
      : []),
    { why: 'a place for the image', command: `aws ecr create-repository --repository-name ${name}${at}` },
    {
      why: 'let docker push there',
      command: `aws ecr get-login-password${at} | docker login --username AWS --password-stdin "${registry}"`,
    },
    {
      why: 'the image',
      command: `docker build --platform linux/${arch === 'arm64' ? 'arm64' : 'amd64'} --tag "${registry}/${name}:${version}" . && docker push "${registry}/${name}:${version}"`,
    },
    keyStep(options),
    ...SETTINGS.map((setting) => ({
      why: words[setting],
      command: `read -rs VALUE && aws ssm put-parameter --name ${parameter(name, setting)} --type SecureString --value "$VALUE"${at}`,
    })),
    {
      why: 'the network that it runs in',
      command: `VPC=$(aws ec2 describe-vpcs${at} --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text)`,
    },
    {
      why: 'its addresses: without a certificate the service answers them alone, over HTTP',
      command: `CIDR=$(aws ec2 describe-vpcs${at} --vpc-ids "$VPC" --query 'Vpcs[0].CidrBlock' --output text)`,
    },
    {
      why: 'start; with CertificateArn=… behind the others (a certificate of ACM) it serves the internet, over HTTPS',
      command: `aws cloudformation deploy${at} --stack-name ${name} --template-file cloudformation.yaml --capabilities CAPABILITY_IAM --parameter-overrides ${network}`,
    },
    {
      why: 'its address; try it with /ready, without a certificate from inside the network',
      command: `aws cloudformation describe-stacks${at} --stack-name ${name} --query 'Stacks[0].Outputs[?OutputKey==\`Url\`].OutputValue' --output text`,
    },
    {
      why: 'instead of the stack, in a cluster that is there already: its ecsTaskExecutionRole must be allowed ssm:GetParameters',
      command: `aws ecs register-task-definition${at} --cli-input-json ${awsAccount === null ? `"$(sed "s/${ACCOUNT.replace('$', '[$]')}/${ACCOUNT}/g" task-definition.json)"` : 'file://task-definition.json'}`,
    },
    {
      why: 'and its service',
      command: `aws ecs create-service${at} --cli-input-json file://service.json --network-configuration "awsvpcConfiguration={subnets=[${subnets}],assignPublicIp=ENABLED}"`,
    },
  ]
}
