/** Files are made by serialising objects, never from templates: names and values cannot break out of their place. */
import { stringify as toml } from 'smol-toml'
import { stringify as yaml } from 'yaml'

export type Data = { readonly [key: string]: Value }
export type Value = string | number | boolean | Data | readonly Value[]

export function yamlText(header: readonly string[], value: Data): string {
  // Version 1.1 is what old parsers take: there "on" and "22:30" are no texts, so they are quoted.
  return `${comment(header)}\n${yaml(value, { lineWidth: 0, version: '1.2', compat: 'yaml-1.1', aliasDuplicateObjects: false })}`
}

export function tomlText(header: readonly string[], value: Data): string {
  return `${comment(header)}\n${toml(value)}\n`
}

/** JSON has no comments: what to do next is printed only. */
export function jsonText(value: Data): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

export function comment(lines: readonly string[]): string {
  return lines.map((line) => `${`# ${line}`.trimEnd()}\n`).join('')
}

/** A word of a shell command. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
