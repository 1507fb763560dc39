/** What the doctor found, one thing at a time. */
export interface Finding {
  readonly subject: string
  /** `problem`: Fabra will not work, or answers will be wrong. `warning`: it works, but not as production should. */
  readonly state: 'ok' | 'warning' | 'problem'
  readonly message: string
  /** What to do about it; null where nothing needs doing. */
  readonly fix: string | null
}
