import { FabraError, suggest } from '../errors.ts'
import { cloudrun } from './cloudrun.ts'
import { docker } from './docker.ts'
import { ecs } from './ecs.ts'
import { fly } from './fly.ts'
import type { Platform } from './platform.ts'
import { railway } from './railway.ts'
import { render } from './render.ts'
import { systemd } from './systemd.ts'

export const platforms: readonly Platform[] = [fly, cloudrun, ecs, render, railway, docker, systemd]

/** @throws FabraError bad_usage with the list. */
export function platformNamed(name: string): Platform {
  const found = platforms.find((platform) => platform.name === name)
  if (found) return found
  const known = platforms.map((platform) => platform.name)
  const near = suggest(name, known)
  throw new FabraError('bad_usage', `"${name}" is no platform.`, {
    hint: `${near.startsWith('Did') ? `${near} ` : ''}Platforms: ${known.join(', ')}.`,
  })
}

/** @throws FabraError bad_usage with the platform's rule. */
export function checkName(platform: Platform, name: string): void {
  if (platform.nameRule.pattern.test(name)) return
  throw new FabraError('bad_usage', `--name "${name}" is no name on ${platform.title}.`, { hint: `Use ${platform.nameRule.words}.` })
}

/** @throws FabraError bad_usage */
export function parseReplicas(platform: Platform, text: string): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count >= 1 && count <= platform.maxReplicas) return count
  const range = platform.maxReplicas === 1 ? 'It runs 1.' : `Write a number from 1 to ${platform.maxReplicas}.`
  throw new FabraError('bad_usage', `--replicas "${text}" is not possible on ${platform.title}.`, { hint: range })
}
