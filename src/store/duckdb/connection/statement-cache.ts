import type { DuckDBPreparedStatement } from '@duckdb/node-api'

/** Statements kept per connection: our own are few. */
const MAX_STATEMENTS = 64
/** Longer texts are sent once: lists of literals. */
const MAX_TEXT = 20_000

/** Prepared statements of one connection, by their text; the least used go first. Planning costs as much as a small query itself. */
export interface StatementCache {
  /** Removes and returns it: a statement is used by one caller at a time. */
  take(text: string): DuckDBPreparedStatement | undefined
  put(text: string, prepared: DuckDBPreparedStatement): void
  clear(): void
}

export function createStatementCache(): StatementCache {
  const statements = new Map<string, DuckDBPreparedStatement>()
  return {
    take(text) {
      const prepared = statements.get(text)
      statements.delete(text)
      return prepared
    },
    put(text, prepared) {
      if (text.length > MAX_TEXT) return prepared.destroySync()
      statements.get(text)?.destroySync()
      statements.set(text, prepared)
      if (statements.size <= MAX_STATEMENTS) return
      const [oldest, dropped] = statements.entries().next().value ?? []
      dropped?.destroySync()
      if (oldest !== undefined) statements.delete(oldest)
    },
    clear() {
      for (const prepared of statements.values()) prepared.destroySync()
      statements.clear()
    },
  }
}
