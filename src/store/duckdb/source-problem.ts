/** Something wrong with a source or its file: what, and what to do. Reported, with all others, by `load`. */
export class SourceProblem extends Error {
  override readonly name = 'SourceProblem'
  readonly hint: string
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause })
    this.hint = hint
  }
}
