import { parse } from 'acorn'
import { type LocalModule, loaderOf } from './module-graph.ts'

/** A node of the syntax tree. Only what is asked for is looked at. */
export interface Node {
  readonly type: string
  readonly [property: string]: unknown
}

/** Where a name at the top level of a module comes from. */
export type Binding =
  | { readonly kind: 'local'; readonly node: Node }
  /** `name` is `*` for the whole module. */
  | { readonly kind: 'import'; readonly specifier: string; readonly name: string }

/** The top level of one module, types and unused imports left out. */
export interface Script {
  readonly bindings: ReadonlyMap<string, Binding>
  /** Export name → the binding or the expression behind it. */
  readonly exports: ReadonlyMap<string, Binding | { readonly kind: 'name'; readonly local: string }>
  /** Specifiers of `export * from`. */
  readonly exportAll: readonly string[]
  /** Statements that are neither declarations nor imports. */
  readonly effects: readonly Node[]
  /** Specifiers of `import "…"`, for what the module does when it runs. */
  readonly bareImports: readonly string[]
}

/** @throws SyntaxError where the text is none that could have been loaded. */
export function readScript(module: LocalModule): Script {
  const loader = loaderOf(module.path)
  const text = new Bun.Transpiler({ loader, target: 'bun' }).transformSync(module.text)
  const program = parse(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true, allowReturnOutsideFunction: true })
  const bindings = new Map<string, Binding>()
  const exports = new Map<string, Binding | { readonly kind: 'name'; readonly local: string }>()
  const script = { bindings, exports, exportAll: [] as string[], effects: [] as Node[], bareImports: [] as string[] }
  for (const statement of program.body as unknown as Node[]) readStatement(script, bindings, exports, statement)
  return script
}

/** Null for what is no code, or none that can be read. */
export function tryRead(module: LocalModule | undefined): Script | null {
  try {
    return module && /\.(?:[cm]?[jt]s|[jt]sx)$/.test(module.path) ? readScript(module) : null
  } catch {
    return null
  }
}

type Exports = Map<string, Binding | { readonly kind: 'name'; readonly local: string }>
type Loose = { exportAll: string[]; effects: Node[]; bareImports: string[] }

function readStatement(script: Loose, bindings: Map<string, Binding>, exports: Exports, statement: Node): void {
  const specifiers = nodes(statement['specifiers'])
  const specifier = literal(statement['source'])
  switch (statement.type) {
    case 'ImportDeclaration':
      if (specifiers.length === 0) script.bareImports.push(specifier)
      for (const item of specifiers) {
        const name = item.type === 'ImportSpecifier' ? nameOf(item['imported']) : item.type === 'ImportDefaultSpecifier' ? 'default' : '*'
        bindings.set(nameOf(item['local']), { kind: 'import', specifier, name })
      }
      return
    case 'ExportAllDeclaration':
      if (statement['exported']) exports.set(nameOf(statement['exported']), { kind: 'import', specifier, name: '*' })
      else script.exportAll.push(specifier)
      return
    case 'ExportNamedDeclaration':
      if (isNode(statement['declaration'])) {
        for (const name of declare(bindings, statement['declaration'])) exports.set(name, { kind: 'name', local: name })
      }
      for (const item of specifiers) {
        const local = nameOf(item['local'])
        exports.set(nameOf(item['exported']), specifier === '' ? { kind: 'name', local } : { kind: 'import', specifier, name: local })
      }
      return
    case 'ExportDefaultDeclaration':
      if (isNode(statement['declaration'])) {
        declare(bindings, statement['declaration'])
        exports.set('default', { kind: 'local', node: statement['declaration'] })
      }
      return
    default:
      if (declare(bindings, statement).length === 0) script.effects.push(statement)
  }
}

/** @returns the names a statement declares. */
function declare(bindings: Map<string, Binding>, statement: Node): string[] {
  if (statement.type === 'FunctionDeclaration' || statement.type === 'ClassDeclaration') {
    if (!isNode(statement['id'])) return []
    const name = nameOf(statement['id'])
    bindings.set(name, { kind: 'local', node: statement })
    return [name]
  }
  if (statement.type !== 'VariableDeclaration') return []
  return nodes(statement['declarations']).flatMap((declarator) => {
    const names = isNode(declarator['id']) ? patternNames(declarator['id']) : []
    for (const name of names) bindings.set(name, { kind: 'local', node: declarator })
    return names
  })
}

function patternNames(pattern: Node): string[] {
  if (pattern.type === 'Identifier') return [nameOf(pattern)]
  return children(pattern).flatMap((child) => (pattern.type === 'Property' && child === pattern['key'] ? [] : patternNames(child)))
}

/** What one piece of code says, gathered in one walk. */
export interface Reading {
  /** The tree as text, without positions and without the way literals were written. */
  readonly text: string
  /** Names it mentions, those of properties left out. Shadowing is not looked at: a name too many does no harm. */
  readonly names: ReadonlySet<string>
  /** What its string literals and templates say. */
  readonly strings: readonly string[]
  /** Specifiers of `import("…")` and `require("…")`. */
  readonly imports: readonly string[]
}

export function readCode(node: Node): Reading {
  const reading = { text: '', names: new Set<string>(), strings: [] as string[], imports: [] as string[] }
  walk(reading, node, true)
  return reading
}

type Gathered = { text: string; names: Set<string>; strings: string[]; imports: string[] }

function walk(reading: Gathered, node: Node, mentioned: boolean): void {
  reading.text += `(${node.type}`
  if (node.type === 'Identifier' && mentioned) reading.names.add(nameOf(node))
  else if (node.type === 'Literal' && typeof node['value'] === 'string') reading.strings.push(node['value'])
  else if (node.type === 'TemplateElement') reading.strings.push(String((node['value'] as { raw?: unknown }).raw))
  else if (node.type === 'ImportExpression') reading.imports.push(literal(node['source']))
  else if (node.type === 'CallExpression' && nameOf(node['callee']) === 'require')
    reading.imports.push(literal(nodes(node['arguments'])[0]))
  for (const key in node) {
    const value = node[key]
    if (key === 'type' || key === 'start' || key === 'end' || (key === 'raw' && node.type === 'Literal')) continue
    reading.text += ` ${key}:`
    const isPropertyName = (key === 'property' || key === 'key') && node['computed'] !== true && value !== node['value']
    if (isNode(value)) walk(reading, value, !isPropertyName)
    else if (Array.isArray(value)) {
      for (const item of value) {
        if (isNode(item)) walk(reading, item, true)
        else reading.text += ' null'
      }
    } else if (typeof value !== 'bigint' && !(value instanceof RegExp)) reading.text += JSON.stringify(value)
  }
  reading.text += ')'
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
}

export function nodes(value: unknown): Node[] {
  return Array.isArray(value) ? value.filter(isNode) : []
}

/** Name of an identifier; text of a string that stands in its place. */
export function nameOf(value: unknown): string {
  if (!isNode(value)) return ''
  const name = value['name'] ?? value['value']
  return typeof name === 'string' ? name : ''
}

function literal(value: unknown): string {
  return isNode(value) && typeof value['value'] === 'string' ? value['value'] : ''
}

function children(node: Node): Node[] {
  return Object.values(node).flatMap((value) => (Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []))
}
