/** The package tells types for its own wrapper only, which loads its file when it is imported and from a place that an executable does not have. */
declare module 'libpg-query/wasm/libpg-query.js' {
  /** What is used of the module that emscripten made. */
  export interface Grammar {
    _malloc(size: number): number
    _free(pointer: number): void
    _wasm_parse_query_raw(text: number): number
    _wasm_free_parse_result(result: number): void
    lengthBytesUTF8(text: string): number
    stringToUTF8(text: string, pointer: number, size: number): void
    UTF8ToString(pointer: number): string
    getValue(pointer: number, type: 'i32'): number
  }
  /** @param settings `instantiateWasm` is called with what the module imports, and calls back with the instance. */
  export default function create(settings: {
    instantiateWasm(imports: Bun.WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): object
  }): Promise<Grammar>
}

declare module 'libpg-query/wasm/libpg-query.wasm' {
  const path: string
  export default path
}
