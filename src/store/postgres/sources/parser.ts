/**
 * PostgreSQL's own grammar, compiled to WebAssembly: the only reader of the dialect that is right about all of it. It is loaded when the first
 * text is read, so that a process without PostgreSQL pays nothing for it, and let go when no text has been read for a while: it reserves 128 MiB,
 * which the collector counts twice and takes for values in use, so that it would leave several times as much garbage lying.
 */
import type { Grammar } from 'libpg-query/wasm/libpg-query.js'
import { SqlError } from '../../ports/source-engine.ts'
import { offsetOfCodePoint } from '../../ports/text-offsets.ts'

export interface PostgresParser {
  /** Syntax tree as libpg_query gives it; locations are byte offsets. @throws SqlError syntax */
  parse(text: string): Promise<unknown>
}

/** Without a text to read. Twice as long each time that one came after all, so that whoever sends some now and then does not have all collected as often. */
const KEPT_FOR_MS = 5_000
const KEPT_AT_MOST_MS = 600_000
/** Trees of short texts, as JSON: definitions say the same ones with each training set. */
const MAX_TREES = 200
const MAX_TREE_LENGTH = 50_000

export function createPostgresParser({ keptForMs = KEPT_FOR_MS }: { readonly keptForMs?: number } = {}): PostgresParser {
  let compiling: Promise<Compiled> | undefined
  let loading: Promise<Grammar> | undefined
  let idleMs = keptForMs
  let usedAt = 0
  let timer: Timer | undefined
  const trees = new Map<string, string>()

  function remember(text: string, tree: string): void {
    if (tree.length > MAX_TREE_LENGTH) return
    trees.set(text, tree)
    const oldest = trees.size > MAX_TREES ? trees.keys().next().value : undefined
    if (oldest !== undefined) trees.delete(oldest)
  }

  function letGo(): void {
    const leftMs = usedAt + idleMs - performance.now()
    timer = leftMs > 0 ? setTimeout(letGo, leftMs).unref() : undefined
    if (timer !== undefined) return
    loading = undefined
    idleMs = Math.min(2 * idleMs, KEPT_AT_MOST_MS)
    // As long as it is counted, it is not worth the collector's while to look for it.
    Bun.gc(true)
  }

  return {
    async parse(text) {
      const known = trees.get(text)
      if (known !== undefined) return JSON.parse(known)
      compiling ??= compile()
      loading ??= load(compiling)
      const grammar = await loading
      usedAt = performance.now()
      timer ??= setTimeout(letGo, idleMs).unref()
      const tree = parseWith(grammar, text)
      remember(text, tree)
      return JSON.parse(tree)
    },
  }
}

interface Compiled {
  readonly create: typeof import('libpg-query/wasm/libpg-query.js').default
  readonly module: WebAssembly.Module
}

async function compile(): Promise<Compiled> {
  const [{ default: create }, { default: file }] = await Promise.all([
    import('libpg-query/wasm/libpg-query.js'),
    import('libpg-query/wasm/libpg-query.wasm', { with: { type: 'file' } }),
  ])
  return { create, module: await WebAssembly.compile(await Bun.file(file).arrayBuffer()) }
}

async function load(compiling: Promise<Compiled>): Promise<Grammar> {
  const { create, module } = await compiling
  return create({
    instantiateWasm(imports, done) {
      WebAssembly.instantiate(module, imports).then(done)
      return {}
    },
  })
}

/** The tree as JSON. PgQueryParseResult: tree, what went to stderr, error. PgQueryError: message, function, file, line, place (counted from 1). */
function parseWith(grammar: Grammar, text: string): string {
  const size = grammar.lengthBytesUTF8(text) + 1
  const pointer = grammar._malloc(size)
  let result = 0
  try {
    grammar.stringToUTF8(text, pointer, size)
    result = grammar._wasm_parse_query_raw(pointer)
    if (result === 0) throw new SqlError('internal', 'The text is too long to be read.', null)
    const error = grammar.getValue(result + 8, 'i32')
    if (error === 0) return grammar.UTF8ToString(grammar.getValue(result, 'i32'))
    const place = grammar.getValue(error + 16, 'i32')
    const message = grammar.UTF8ToString(grammar.getValue(error, 'i32'))
    throw new SqlError('syntax', message, place > 0 ? offsetOfCodePoint(text, place - 1) : null)
  } finally {
    grammar._free(pointer)
    if (result !== 0) grammar._wasm_free_parse_result(result)
  }
}
