// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are references that others resolve.
import { type DeployOptions, PORT, SETTINGS, STOP_SECONDS } from './platform.ts'
import type { Data, Value } from './text.ts'

/** Everything that a Fargate service needs around it, in one stack: `aws cloudformation deploy` is the whole deployment. */
export function cloudFormation(options: DeployOptions, container: Data): Data {
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: `Features of ${options.name}, served by Fabra on Fargate behind a load balancer.`,
    Parameters: {
      VpcId: { Type: 'AWS::EC2::VPC::Id', Description: 'Network of the service, PostgreSQL and Redis.' },
      SubnetIds: {
        Type: 'List<AWS::EC2::Subnet::Id>',
        Description: 'At least two subnets with a way to the internet, in different zones.',
      },
      CertificateArn: {
        Type: 'String',
        Default: '',
        Description:
          'Certificate for HTTPS. Without one the load balancer speaks HTTP, and only inside the network: API keys must not cross the internet in the clear.',
      },
      NetworkCidr: {
        Type: 'String',
        Default: '10.0.0.0/8',
        Description: 'Addresses of the network, which may call the service while there is no certificate.',
      },
    },
    Conditions: { HasCertificate: { 'Fn::Not': [{ 'Fn::Equals': [ref('CertificateArn'), ''] }] } },
    Resources: {
      ...network(),
      ...roles(options),
      Logs: {
        Type: 'AWS::Logs::LogGroup',
        DeletionPolicy: 'Delete',
        UpdateReplacePolicy: 'Delete',
        Properties: { LogGroupName: `/ecs/${options.name}`, RetentionInDays: 30 },
      },
      Cluster: { Type: 'AWS::ECS::Cluster', Properties: { ClusterName: options.name } },
      Task: task(options, container),
      Service: service(options),
    },
    Outputs: {
      Url: {
        Description: 'Where features are served.',
        Value: withCertificate(sub('https://${LoadBalancer.DNSName}'), sub('http://${LoadBalancer.DNSName}')),
      },
      SecurityGroup: { Description: 'Let this group reach PostgreSQL and Redis.', Value: get('ServiceGroup', 'GroupId') },
    },
  }
}

function network(): Data {
  return {
    LoadBalancerGroup: {
      Type: 'AWS::EC2::SecurityGroup',
      Properties: {
        GroupDescription: 'Who may reach the load balancer.',
        VpcId: ref('VpcId'),
        SecurityGroupIngress: [
          {
            IpProtocol: 'tcp',
            FromPort: withCertificate(443, 80),
            ToPort: withCertificate(443, 80),
            CidrIp: withCertificate('0.0.0.0/0', ref('NetworkCidr')),
          },
        ],
      },
    },
    ServiceGroup: {
      Type: 'AWS::EC2::SecurityGroup',
      Properties: {
        GroupDescription: 'Only the load balancer may reach the service.',
        VpcId: ref('VpcId'),
        SecurityGroupIngress: [
          { IpProtocol: 'tcp', FromPort: PORT, ToPort: PORT, SourceSecurityGroupId: get('LoadBalancerGroup', 'GroupId') },
        ],
      },
    },
    LoadBalancer: {
      Type: 'AWS::ElasticLoadBalancingV2::LoadBalancer',
      Properties: {
        Type: 'application',
        // API keys travel with every request: the internet sees them in HTTPS or not at all.
        Scheme: withCertificate('internet-facing', 'internal'),
        Subnets: ref('SubnetIds'),
        SecurityGroups: [get('LoadBalancerGroup', 'GroupId')],
      },
    },
    Targets: {
      Type: 'AWS::ElasticLoadBalancingV2::TargetGroup',
      Properties: {
        VpcId: ref('VpcId'),
        TargetType: 'ip',
        Protocol: 'HTTP',
        Port: PORT,
        HealthCheckPath: '/ready',
        HealthCheckIntervalSeconds: 10,
        HealthCheckTimeoutSeconds: 3,
        HealthyThresholdCount: 2,
        UnhealthyThresholdCount: 3,
        Matcher: { HttpCode: '200' },
        TargetGroupAttributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: String(STOP_SECONDS) }],
      },
    },
    Listener: {
      Type: 'AWS::ElasticLoadBalancingV2::Listener',
      Properties: {
        LoadBalancerArn: ref('LoadBalancer'),
        Port: withCertificate(443, 80),
        Protocol: withCertificate('HTTPS', 'HTTP'),
        Certificates: withCertificate([{ CertificateArn: ref('CertificateArn') }], ref('AWS::NoValue')),
        DefaultActions: [{ Type: 'forward', TargetGroupArn: ref('Targets') }],
      },
    },
  }
}

function roles({ name }: DeployOptions): Data {
  const assume: Data = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { Service: 'ecs-tasks.amazonaws.com' }, Action: 'sts:AssumeRole' }],
  }
  const reading: Data = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: 'ssm:GetParameters',
        Resource: sub(`arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:parameter/${name}/*`),
      },
    ],
  }
  return {
    ExecutionRole: {
      Type: 'AWS::IAM::Role',
      Properties: {
        AssumeRolePolicyDocument: assume,
        ManagedPolicyArns: [sub('arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy')],
        Policies: [{ PolicyName: 'read-secrets', PolicyDocument: reading }],
      },
    },
    // What the features themselves may do in AWS: nothing, until you say so.
    TaskRole: { Type: 'AWS::IAM::Role', Properties: { AssumeRolePolicyDocument: assume } },
  }
}

function task({ name, version, arch }: DeployOptions, container: Data): Data {
  return {
    Type: 'AWS::ECS::TaskDefinition',
    Properties: {
      Family: name,
      NetworkMode: 'awsvpc',
      RequiresCompatibilities: ['FARGATE'],
      Cpu: '512',
      Memory: '1024',
      RuntimePlatform: { CpuArchitecture: arch === 'arm64' ? 'ARM64' : 'X86_64', OperatingSystemFamily: 'LINUX' },
      ExecutionRoleArn: get('ExecutionRole', 'Arn'),
      TaskRoleArn: get('TaskRole', 'Arn'),
      ContainerDefinitions: [
        {
          ...(capitalised(container) as Data),
          Image: sub(`\${AWS::AccountId}.dkr.ecr.\${AWS::Region}.\${AWS::URLSuffix}/${name}:${version}`),
          Secrets: SETTINGS.map((setting) => ({
            Name: setting,
            ValueFrom: sub(`arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:parameter${parameter(name, setting)}`),
          })),
          LogConfiguration: {
            LogDriver: 'awslogs',
            Options: {
              'awslogs-group': ref('Logs'),
              'awslogs-region': ref('AWS::Region'),
              'awslogs-stream-prefix': 'fabra',
              mode: 'non-blocking',
            },
          },
        },
      ],
      Volumes: [{ Name: 'tmp' }],
    },
  }
}

function service({ name, replicas }: DeployOptions): Data {
  return {
    Type: 'AWS::ECS::Service',
    DependsOn: 'Listener',
    Properties: {
      ServiceName: name,
      Cluster: ref('Cluster'),
      TaskDefinition: ref('Task'),
      DesiredCount: replicas,
      LaunchType: 'FARGATE',
      HealthCheckGracePeriodSeconds: 60,
      DeploymentConfiguration: {
        DeploymentCircuitBreaker: { Enable: true, Rollback: true },
        MinimumHealthyPercent: 100,
        MaximumPercent: 200,
      },
      NetworkConfiguration: {
        AwsvpcConfiguration: { AssignPublicIp: 'ENABLED', Subnets: ref('SubnetIds'), SecurityGroups: [get('ServiceGroup', 'GroupId')] },
      },
      LoadBalancers: [{ ContainerName: 'fabra', ContainerPort: PORT, TargetGroupArn: ref('Targets') }],
    },
  }
}

/** Name of a setting in the Parameter Store. */
export function parameter(name: string, setting: string): string {
  return `/${name}/${setting.toLowerCase().replace('fabra_', '').replaceAll('_', '-')}`
}

/** The stack's words are those of the API with a capital letter. */
function capitalised(value: Value): Value {
  if (Array.isArray(value)) return value.map(capitalised)
  if (typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [`${key.charAt(0).toUpperCase()}${key.slice(1)}`, capitalised(item)]),
  )
}

function withCertificate(value: Value, otherwise: Value): Data {
  return { 'Fn::If': ['HasCertificate', value, otherwise] }
}

function ref(name: string): Data {
  return { Ref: name }
}

function get(resource: string, attribute: string): Data {
  return { 'Fn::GetAtt': [resource, attribute] }
}

function sub(text: string): Data {
  return { 'Fn::Sub': text }
}
