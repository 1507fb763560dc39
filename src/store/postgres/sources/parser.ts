/**
 * PostgreSQL's own grammar, compiled to WebAssembly: the only reader of the dialect that is right about all of it. It is loaded when the first
 * text is read, so that a process without PostgreSQL pays nothing for it.
 */
import type { Grammar } from 'libpg-query/wasm/libpg-query.js'
import { SqlError } from '../../ports/source-engine.ts'
import { offsetOfCodePoint } from '../../ports/text-offsets.ts'

export interface PostgresParser {
  /** Syntax tree as libpg_query gives it; locations are byte offsets. @throws SqlError syntax */
  parse(text: string): Promise<unknown>
}

export function createPostgresParser(): PostgresParser {
  let loading: Promise<Grammar> | undefined
  return {
    async parse(text) {
      loading ??= loadGrammar()
      const grammar = await loading
      return parseWith(grammar, text)
    },
  }
}

async function loadGrammar(): Promise<Grammar> {
  const [{ default: create }, { default: file }] = await Promise.all([
    import('libpg-query/wasm/libpg-query.js'),
    import('libpg-query/wasm/libpg-query.wasm', { with: { type: 'file' } }),
  ])
  const module = await WebAssembly.compile(await Bun.file(file).arrayBuffer())
  return create({
    instantiateWasm(imports, done) {
      WebAssembly.instantiate(module, imports).then(done)
      return {}
    },
  })
}

/** PgQueryParseResult: tree, what went to stderr, error. PgQueryError: message, function, file, line, place (counted from 1). */
function parseWith(grammar: Grammar, text: string): unknown {
  const size = grammar.lengthBytesUTF8(text) + 1
  const pointer = grammar._malloc(size)
  let result = 0
  try {
    grammar.stringToUTF8(text, pointer, size)
    result = grammar._wasm_parse_query_raw(pointer)
    if (result === 0) throw new SqlError('internal', 'The text is too long to be read.', null)
    const error = grammar.getValue(result + 8, 'i32')
    if (error === 0) return JSON.parse(grammar.UTF8ToString(grammar.getValue(result, 'i32')))
    const place = grammar.getValue(error + 16, 'i32')
    const message = grammar.UTF8ToString(grammar.getValue(error, 'i32'))
    throw new SqlError('syntax', message, place > 0 ? offsetOfCodePoint(text, place - 1) : null)
  } finally {
    grammar._free(pointer)
    if (result !== 0) grammar._wasm_free_parse_result(result)
  }
}
