import type { DeclaredType, Problem, Registry } from '../definition/model.ts'

/** A user's function: the key value (an object when the key has several columns), then its context. */
export type GuestFunction = (key: never, context: never) => unknown

/** What the definitions give: the module users import, how exports become a registry, how values become text. */
export interface Definitions {
  /** Exports of "fabra" besides `db`. */
  readonly exports: Readonly<Record<string, unknown>>
  build(
    exported: { name: string; value: unknown; file: string; doc: string | null }[],
    code: (fn: (...args: never[]) => unknown) => string,
  ): { registry: Registry; problems: Problem[]; functions: ReadonlyMap<string, GuestFunction> }
  /** @throws FabraError wrong_type or value_too_large, in the words of the type. */
  encode(type: DeclaredType, value: unknown): string
}

export interface Exported {
  readonly name: string
  readonly value: unknown
  readonly file: string
}
