/**
 * What a user's function is made of, for the fingerprint of its feature: its own syntax tree and that of everything of the user's it refers
 * to, in its file and in the files that imports, however far. Comments, layout and types do not count, nor where the project lies, nor the
 * functions of other features. Packages count by name only: their versions are in the lock file, not in a feature.
 */
import { draftOf } from '../definition/draft.ts'
import type { Exported } from './definitions-port.ts'
import { type LocalModule, readModules } from './module-graph.ts'
import { type Binding, isNode, type Node, nameOf, nodes, type Reading, readCode, type Script, tryRead } from './script.ts'

type UserFunction = (...args: never[]) => unknown

/** Exports of "fabra" that define something. What a definition says is fingerprinted by the registry, not again by all that refer to it. */
const DEFINERS: ReadonlySet<string> = new Set(['entity', 'source', 'feature', 'featureSet'])

export function createFunctionCode(exported: readonly Exported[], files: readonly string[]): (fn: UserFunction) => string {
  const modules = readModules(files)
  const scripts = new Map<string, Script | null>()
  const script = (path: string): Script | null => {
    let found = scripts.get(path)
    if (found === undefined) {
      found = tryRead(modules.get(path))
      scripts.set(path, found)
    }
    return found
  }
  const readings = new Map<Node, Reading>()
  const read = (node: Node): Reading => {
    const known = readings.get(node)
    if (known) return known
    const reading = readCode(node)
    readings.set(node, reading)
    return reading
  }
  return (fn) => {
    const pieces = new Pieces(modules, script, read)
    const at = exported.find(({ value }) => {
      const draft = draftOf(value)
      return draft?.kind === 'feature' && draft.compute === fn
    })
    if (at === undefined || !pieces.addExport(at.file, at.name, true)) {
      pieces.addText(fn.toString())
      for (const file of files) pieces.addModule(file)
    }
    return pieces.text()
  }
}

/** Pieces of code in the order they are found, each once. */
class Pieces {
  readonly #modules: ReadonlyMap<string, LocalModule>
  readonly #script: (path: string) => Script | null
  readonly #read: (node: Node) => Reading
  readonly #texts: string[] = []
  readonly #seen = new Set<Node | string>()

  constructor(modules: ReadonlyMap<string, LocalModule>, script: (path: string) => Script | null, read: (node: Node) => Reading) {
    this.#modules = modules
    this.#script = script
    this.#read = read
  }

  text(): string {
    return this.#texts.join('\n')
  }

  addText(text: string): void {
    this.#texts.push(text)
  }

  /** @returns false when the module has no such export that can be read. */
  addExport(path: string, name: string, isFeature = false): boolean {
    const script = this.#script(path)
    if (script === null) return this.#addData(path)
    const found = script.exports.get(name)
    if (found === undefined) {
      return script.exportAll.some((specifier) => {
        const target = this.#modules.get(path)?.imports.get(specifier)
        return target !== undefined && this.addExport(target, name, isFeature)
      })
    }
    const binding = found.kind === 'name' ? script.bindings.get(found.local) : found
    if (binding === undefined) return false
    if (isFeature && binding.kind === 'import') {
      const target = this.#modules.get(path)?.imports.get(binding.specifier)
      return target !== undefined && this.addExport(target, binding.name, true)
    }
    if (isFeature && binding.kind === 'local') this.#addNode(path, script, functionOf(script, binding.node))
    else this.#addBinding(path, script, name, binding)
    return true
  }

  /** All of a module: what it declares and what it does when it runs. */
  addModule(path: string): void {
    if (this.#seen.has(path)) return
    this.#seen.add(path)
    const script = this.#script(path)
    if (script === null) {
      this.#addData(path)
      return
    }
    for (const [name, binding] of script.bindings) this.#addBinding(path, script, name, binding)
    for (const binding of script.exports.values()) if (binding.kind !== 'name') this.#addBinding(path, script, '', binding)
    for (const effect of script.effects) this.#addNode(path, script, effect)
    for (const specifier of [...script.exportAll, ...script.bareImports]) this.#addSpecifier(path, specifier, '*')
  }

  #addBinding(path: string, script: Script, name: string, binding: Binding): void {
    if (binding.kind === 'import') this.#addSpecifier(path, binding.specifier, binding.name)
    else if (isDefinition(script, binding.node)) this.addText(`definition ${name}`)
    else this.#addNode(path, script, binding.node)
  }

  #addSpecifier(path: string, specifier: string, name: string): void {
    const target = this.#modules.get(path)?.imports.get(specifier)
    if (target === undefined) this.addText(`import ${name} from ${specifier}`)
    else if (name === '*' || !this.addExport(target, name)) this.addModule(target)
  }

  #addNode(path: string, script: Script, node: Node): void {
    if (this.#seen.has(node)) return
    this.#seen.add(node)
    const { text, names, strings, imports } = this.#read(node)
    this.addText(text)
    // Once more as they are: the registry looks for the names of sources in them.
    for (const said of strings) this.addText(said)
    for (const name of names) {
      const binding = script.bindings.get(name)
      if (binding) this.#addBinding(path, script, name, binding)
    }
    for (const specifier of imports) this.#addSpecifier(path, specifier, '*')
    this.#addEffects(path, script, names)
  }

  /** Statements of the module that may change what the code sees: those about the same names, and those about no name of the module. */
  #addEffects(path: string, script: Script, names: ReadonlySet<string>): void {
    for (const effect of script.effects) {
      const own = [...this.#read(effect).names].filter((name) => script.bindings.has(name))
      if (own.length === 0 || own.some((name) => names.has(name))) this.#addNode(path, script, effect)
    }
    for (const specifier of script.bareImports) this.#addSpecifier(path, specifier, '*')
  }

  /** JSON and the like. JSON counts by what it says, not by how it is laid out. */
  #addData(path: string): boolean {
    const text = this.#modules.get(path)?.text
    if (text === undefined) return false
    if (this.#seen.has(`data ${path}`)) return true
    this.#seen.add(`data ${path}`)
    this.addText(path.endsWith('.json') ? compactJson(text) : text)
    return true
  }
}

/** `feature({ … }, FUNCTION)`: the function. Anything else that makes a feature counts whole. */
function functionOf(script: Script, node: Node): Node {
  const value = expressionOf(node)
  const fn = isDefinition(script, node) ? nodes(value['arguments'])[1] : undefined
  return fn ?? value
}

function isDefinition(script: Script, node: Node): boolean {
  const value = expressionOf(node)
  const callee = value.type === 'CallExpression' ? value['callee'] : undefined
  if (!isNode(callee)) return false
  // `fabra.feature(…)` of a namespace import too.
  const binding = script.bindings.get(callee.type === 'MemberExpression' ? nameOf(callee['object']) : nameOf(callee))
  if (binding?.kind !== 'import' || binding.specifier !== 'fabra') return false
  return DEFINERS.has(binding.name === '*' ? nameOf(callee['property']) : binding.name)
}

function expressionOf(node: Node): Node {
  return node.type === 'VariableDeclarator' && isNode(node['init']) && isNode(node['id']) && node['id'].type === 'Identifier'
    ? node['init']
    : node
}

function compactJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch {
    return text
  }
}
