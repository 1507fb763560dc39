/** Loads nothing else: what a command does before it loads the rest of the program. */
export { unpackInto } from '../store/duckdb/native/unpack-folders.ts'
