import { describe, expect, test } from 'bun:test'
import { parse } from 'yaml'
import { platforms } from '../../src/deploy/platforms.ts'
import { deployOptions, fileOf, optionsToTry, platformOf } from './options.ts'

describe('the commands to run next', () => {
  test('are understood by a shell as they are, whatever the options, and leave nothing to fill in', () => {
    for (const platform of platforms) {
      const commands = optionsToTry(platform).flatMap((options) => platform.plan(options).next.map((step) => step.command))
      const { exitCode, stderr } = Bun.spawnSync(['bash', '-n'], { stdin: new TextEncoder().encode(commands.join('\n')) })
      expect({ platform: platform.name, exitCode, stderr: stderr.toString() }).toEqual({ platform: platform.name, exitCode: 0, stderr: '' })
      for (const command of commands) expect(command).not.toMatch(/<[a-z]|YOUR|\.\.\./)
    }
  })
})

test('a stack without a certificate serves nobody outside of its network', () => {
  const platform = platformOf('ecs')
  const stack = fileOf(platform, deployOptions(platform), 'cloudformation.yaml')
  const { Resources } = parse(stack) as {
    Resources: {
      LoadBalancer: { Properties: { Scheme: unknown } }
      LoadBalancerGroup: { Properties: { SecurityGroupIngress: { FromPort: unknown; CidrIp: unknown }[] } }
    }
  }
  expect(Resources.LoadBalancer.Properties.Scheme).toEqual({ 'Fn::If': ['HasCertificate', 'internet-facing', 'internal'] })
  const [rule] = Resources.LoadBalancerGroup.Properties.SecurityGroupIngress
  expect(rule?.FromPort).toEqual({ 'Fn::If': ['HasCertificate', 443, 80] })
  expect(rule?.CidrIp).toEqual({ 'Fn::If': ['HasCertificate', '0.0.0.0/0', { Ref: 'NetworkCidr' }] })
})
