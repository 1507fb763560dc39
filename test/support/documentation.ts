/** README and the pages of docs, taken apart: headings, tables, blocks and the command lines that they show. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const PROJECT = join(import.meta.dir, '../..')

export interface Page {
  /** Its path in the project: `docs/redis.md`. */
  readonly path: string
  readonly text: string
}

/** All that people read, README first. */
export const pages: readonly Page[] = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(PROJECT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => `docs/${file}`),
].map((path) => ({ path, text: readFileSync(join(PROJECT, path), 'utf8') }))

export function page(path: string): Page {
  const found = pages.find((one) => one.path === path)
  if (!found) throw new Error(`There is no page ${path}.`)
  return found
}

export interface Block {
  /** What stands behind its three ticks: `sh`, `console`, `ts`. */
  readonly kind: string
  readonly text: string
}

export function blocks({ text }: Page): readonly Block[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, kind = '', body = '']) => ({ kind, text: body }))
}

function withoutBlocks({ text }: Pick<Page, 'text'>): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '')
}

/** What a link behind a # may name, as GitHub makes it of a heading. */
export function anchors(of: Page): ReadonlySet<string> {
  const headings = [...withoutBlocks(of).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

export interface Link {
  readonly from: string
  /** In the project; empty where it leads out of it. */
  readonly path: string
  readonly anchor: string
}

/** Those that stay in the project. */
export function links(of: Page): readonly Link[] {
  return [...withoutBlocks(of).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return []
    const [file = '', anchor = ''] = target.split('#')
    return [{ from: of.path, path: file === '' ? of.path : join(dirname(of.path), file), anchor }]
  })
}

/** Cells of the first table whose head begins with this cell; without the two lines of its head. */
export function table(of: Page, firstHead: string): readonly (readonly string[])[] {
  const lines = of.text.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${firstHead} |`))
  if (start < 0) throw new Error(`${of.path} has no table of "${firstHead}".`)
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'))
  return lines.slice(start + 2, length < 0 ? undefined : start + length).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** What stands in ticks, outside of blocks. */
export function inTicks(text: string): readonly string[] {
  return [...withoutBlocks({ text }).matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

export interface Shown {
  readonly page: string
  /** The command line as it is written, over several lines perhaps. */
  readonly line: string
  /** What it is said to print; empty where nothing is said. */
  readonly output: string
}

/** Command lines of blocks, with what they are said to print. */
export function shownCommands(of: Page): readonly Shown[] {
  return blocks(of).flatMap(({ kind, text }) => {
    if (kind === 'sh') return commandsOf(text.split('\n')).map(({ line }) => ({ page: of.path, line, output: '' }))
    if (kind !== 'console') return []
    return text
      .split(/^\$ /m)
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const [{ line, rest } = { line: '', rest: [] }] = commandsOf(part.split('\n'))
        return { page: of.path, line, output: rest.join('\n').trim() }
      })
  })
}

/** A line goes on in the next one while a quote is open, or behind a backslash. */
function commandsOf(lines: readonly string[]): { readonly line: string; readonly rest: readonly string[] }[] {
  const commands: { line: string; rest: readonly string[] }[] = []
  for (let at = 0; at < lines.length; ) {
    const from = at
    let line = lines[at++] ?? ''
    while (at < lines.length && isOpen(line)) line += `\n${lines[at++] ?? ''}`
    if (line.trim() !== '') commands.push({ line, rest: lines.slice(Math.max(at, from + 1)) })
  }
  return commands
}

function isOpen(line: string): boolean {
  return line.endsWith('\\') || (line.match(/'/g) ?? []).length % 2 === 1
}

/** The words of a command line as a shell reads them, up to a comment or the end of its first command. */
export function words(line: string): readonly string[] {
  const found: string[] = []
  const parts = /\s*(?:\\\n\s*)?((?:'[^']*'|"(?:[^"\\]|\\.)*"|[^\s'"])+)/gy
  for (const [, raw = ''] of line.replaceAll('\\\n', ' ').matchAll(parts)) {
    if (raw.startsWith('#') || /^(\||&&|;|2?>+)$/.test(raw)) break
    found.push(raw.replace(/'([^']*)'|"((?:[^"\\]|\\.)*)"/g, (_, single, double) => single ?? double.replace(/\\(.)/g, '$1')))
  }
  return found
}

/** Every `fabra …` that a page shows, in blocks and in its sentences. */
export function fabraLines(of: Page): readonly string[] {
  const commands = [
    ...blocks(of).flatMap(({ kind, text }) => (kind === 'sh' || kind === 'console' ? text.split('\n') : [])),
    ...inTicks(of.text).map((code) => code.replaceAll('\n', ' ')),
  ]
  return commands.flatMap((text) => {
    // After a prompt, in `$(…)`, after `&&`, or by itself.
    const found = /(?:^|\$ |\$\(|&& )(fabra [a-z][^)]*)/.exec(text.replace(/^\s*\$ /, ''))
    return found?.[1] === undefined ? [] : [found[1]]
  })
}
