import type { PackedDefinitions } from '../definition/sent-drafts.ts'
import type { Encode } from './guest-outcome.ts'

/** A user's function: the key value (an object when the key has several columns; a list of keys when it takes many), then its context. */
export type GuestFunction = (key: never, context: never) => unknown

/** What the definitions give: the module users import, how exports become plain data, how values become text. */
export interface Definitions {
  /** Exports of "fabra" besides `db`. */
  readonly exports: Readonly<Record<string, unknown>>
  pack(
    exported: readonly { name: string; value: unknown; file: string; doc: string | null }[],
    code: (fn: (...args: never[]) => unknown) => string,
  ): PackedDefinitions<GuestFunction>
  /** Tells a definition its name. */
  rename(definition: unknown, name: string): void
  encode: Encode
}

export interface Exported {
  readonly name: string
  readonly value: unknown
  readonly file: string
}
