import type { Time } from './basics.ts'

/** GET /v1/features/{name}/definition. */
export interface Definition {
  feature: string
  /** Fingerprint of what is served. */
  version: string
  version_number: number | null
  kind: 'sql' | 'function' | 'pushed'
  /** As asked for by `refresh`, `max_staleness` and so on; durations as texts, what is left out is not there. */
  options: Record<string, unknown>
  /** What is recorded of it, and why. */
  recorded: string
  /** SQL of each engine, as written; null of functions and pushed features. */
  sql: { duckdb: string; postgres: string } | null
  /** The definition as written; null to who lacks `admin`, as all texts here, and where the file cannot be read. */
  text: DefinitionText | null
  /** The line at fault, where its last run failed and the line is known. */
  fault: { file: string; line: number; code: string | null; message: string } | null
  /** Newest first, the one that is served among them. */
  versions: DefinitionVersion[]
}

export interface DefinitionText {
  file: string
  language: 'typescript' | 'python' | 'sql'
  /** Number of the first line. */
  line: number
  /** Lines, without their ends. */
  lines: string[]
}

export interface DefinitionVersion {
  /** From 1; null where earlier ones are not known. */
  number: number | null
  version: string
  /** First served then, as far as is known. */
  since: Time
  /** Null where it was not kept, and to who lacks `admin`. */
  text: DefinitionText | null
}
