import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Platform } from '../../deploy/platform.ts'
import { checkName } from '../../deploy/platforms.ts'
import { FabraError } from '../../errors.ts'

/** What an app is called, and why. */
export interface AppName {
  readonly name: string
  /** Null: given by hand. */
  readonly from: string | null
}

/**
 * `--name`, else the name in package.json, else that of the folder, in letters that the platform takes.
 * @throws FabraError bad_usage where neither makes a name there.
 */
export function appName(platform: Platform, given: string | undefined, folder: string): AppName {
  if (given !== undefined) {
    checkName(platform, given)
    return { name: given, from: null }
  }
  const candidates = [
    { text: packageName(folder), from: 'package.json' },
    { text: basename(folder), from: 'the folder' },
  ]
  for (const { text, from } of candidates) {
    const name = text === undefined ? '' : fitting(platform, text)
    if (platform.nameRule.pattern.test(name)) return { name, from }
  }
  throw new FabraError('bad_usage', `Neither package.json nor the folder "${basename(folder)}" gives a name for ${platform.title}.`, {
    hint: `Choose one: --name <name>, of ${platform.nameRule.words}.`,
  })
}

function packageName(folder: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }
    return typeof name === 'string' ? name.replace(/^@[^/]*\//, '') : undefined
  } catch {
    return undefined
  }
}

/** As near to the text as the rule allows; names are cut where they are too long. */
function fitting({ nameRule }: Platform, text: string): string {
  const plain = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[-0-9]+/, '')
  for (let length = plain.length; length > 0; length--) {
    const name = plain.slice(0, length).replace(/-+$/, '')
    if (nameRule.pattern.test(name)) return name
  }
  return ''
}
