/** One mistake that a suite must notice. */
export interface Mutation {
  readonly name: string
  /** The test file that should notice: the smallest that does. Default: the oracle's. */
  readonly suite?: string
  /** Every place a text stands at is changed; it must stand somewhere. */
  readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

/** Mistakes in one file that one suite must notice: by name, what is changed into what. */
export function mistakes(
  where: { readonly suite: string; readonly file: string },
  changes: Readonly<Record<string, readonly [from: string, to: string]>>,
): Mutation[] {
  const { suite, file } = where
  return Object.entries(changes).map(([name, [from, to]]) => ({ name, suite, changes: [{ file, from, to }] }))
}
