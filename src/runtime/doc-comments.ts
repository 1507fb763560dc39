/**
 * The doc comment before a definition is its description where it gives none. Comments are in the text as its author wrote it and nowhere else,
 * so the text itself is read: in pieces as a scanner sees them, at the top level only.
 */
import { type Token, tokenizer, tokTypes } from 'acorn'
import type { LocalModule } from './module-graph.ts'
import { nameOf, type Script, tryRead } from './script.ts'

/** Description per name that a module declares at its top level; `default` for what is exported so. */
type DocComments = ReadonlyMap<string, string>

/**
 * @param modules By their paths.
 * @returns what is said of an export, where it is declared, however many modules away; null when nothing is.
 */
export function createDocReader(modules: ReadonlyMap<string, LocalModule>): (file: string, name: string) => string | null {
  const scripts = new Map<string, Script | null>()
  const script = (path: string): Script | null => {
    if (!scripts.has(path)) scripts.set(path, tryRead(modules.get(path)))
    return scripts.get(path) ?? null
  }
  const read = new Map<string, DocComments>()
  const commentsOf = (path: string): DocComments => {
    let comments = read.get(path)
    if (comments === undefined) {
      comments = docComments(modules.get(path)?.text ?? '')
      read.set(path, comments)
    }
    return comments
  }
  const find = (path: string, name: string, seen: ReadonlySet<string>): string | null => {
    if (seen.has(`${path}\n${name}`)) return null
    const beyond = new Set([...seen, `${path}\n${name}`])
    const own = commentsOf(path).get(name)
    if (own !== undefined) return own
    const code = script(path)
    if (code === null) return null
    const follow = (specifier: string, imported: string) => {
      const target = modules.get(path)?.imports.get(specifier)
      return target === undefined ? null : find(target, imported, beyond)
    }
    const exported = code.exports.get(name)
    if (exported === undefined) {
      for (const specifier of code.exportAll) {
        const found = follow(specifier, name)
        if (found !== null) return found
      }
      return null
    }
    const local = exported.kind === 'name' ? exported.local : name
    const binding = exported.kind === 'name' ? code.bindings.get(local) : exported
    if (binding?.kind === 'import') return follow(binding.specifier, binding.name)
    // `export default spend` of what was declared before.
    const declared = binding?.node.type === 'Identifier' ? nameOf(binding.node) : local
    return declared === name ? null : find(path, declared, beyond)
  }
  return (file, name) => find(file, name, new Set())
}

const OPEN = new Set([tokTypes.braceL, tokTypes.parenL, tokTypes.bracketL, tokTypes.dollarBraceL])
const CLOSE = new Set([tokTypes.braceR, tokTypes.parenR, tokTypes.bracketR])

/** Types and other things that only TypeScript has are tokens as well; a text that is none to the end is read as far as it is. */
function docComments(text: string): DocComments {
  const found = new Map<string, string>()
  /** The last doc comment since the token before. */
  let comment: string | null = null
  /** That of the statement being read. */
  let pending: string | null = null
  let depth = 0
  let before = ''
  const onComment = (isBlock: boolean, body: string) => {
    if (isBlock && body.startsWith('*')) comment = body
  }
  try {
    for (const token of tokenizer(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true, onComment })) {
      const word = text.slice(token.start, token.end)
      if (depth === 0) {
        if (word === 'export') pending = comment
        else if (isDeclarer(word) && before !== 'export') pending = comment
        else if (pending !== null && isName(token) && (isDeclarer(before) || (before === 'export' && word === 'default'))) {
          const name = word === 'default' ? 'default' : word
          if (!found.has(name)) found.set(name, descriptionOf(pending))
          pending = null
        } else if (!isDeclarer(word)) pending = null
      }
      if (OPEN.has(token.type)) depth++
      else if (CLOSE.has(token.type)) depth--
      before = word
      comment = null
    }
  } catch {
    // The loader has told what cannot be read, and says it better.
  }
  return new Map([...found].filter(([, description]) => description !== ''))
}

function isDeclarer(word: string): boolean {
  return word === 'const' || word === 'let' || word === 'var'
}

function isName(token: Token): boolean {
  return token.type === tokTypes.name || token.type === tokTypes._default
}

/** What is said before the first tag, in one line. */
function descriptionOf(comment: string): string {
  const lines = comment
    .slice(1)
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => line.replace(/^\s*\*? ?/, '').trim())
  const end = lines.findIndex((line) => line.startsWith('@'))
  return (end < 0 ? lines : lines.slice(0, end))
    .join(' ')
    .replace(/\{@\w+\s+([^}|]*?)(?:\s*\|\s*([^}]*))?\}/g, (_, target: string, shown: string | undefined) => (shown ?? target).trim())
    .replace(/\s+/g, ' ')
    .trim()
}
