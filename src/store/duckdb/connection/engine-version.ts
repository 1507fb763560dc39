import { version } from '@duckdb/node-api'

/** What the loaded library says of itself. Importing this loads it, which unpacks it where that has not been done. */
export function engineVersion(): string {
  return version()
}
