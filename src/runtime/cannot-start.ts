/** No worker can be started at all: a problem of the files that need one, in words that follow "features.py: …". */
export class CannotStart extends Error {
  readonly hint: string
  constructor(message: string, hint: string) {
    super(message)
    this.hint = hint
  }
}
