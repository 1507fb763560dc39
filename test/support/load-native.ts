/** Loads DuckDB's library as the executable does. Arguments: the library as JSON, then the folders to try. Prints its version. */

import type { NativeLibrary } from '../../src/store/duckdb/native/library.ts'
import { loadNative } from '../../src/store/duckdb/native/native.ts'

const [library, ...folders] = process.argv.slice(2)
const addon = loadNative(JSON.parse(library ?? '') as NativeLibrary, folders) as { library_version(): string }
console.log(addon.library_version())
