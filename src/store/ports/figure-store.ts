/** Figures that processes tell one another. What is lost is told again soon, or missed for an hour: a hint. */
export interface FigureStore {
  /** What this process tells: of now, and of a minute that is over, where one is. @throws FabraError store_unavailable */
  tell(now: string, minute: { readonly number: number; readonly text: string } | null): Promise<void>
  /** Of each other process that was heard of in the last hour. @throws FabraError store_unavailable */
  others(): Promise<readonly TellingProcess[]>
  /** @returns what a process told of minutes that are over, in the order given; null: nothing. */
  minutes(process: string, numbers: readonly number[]): Promise<readonly (string | null)[]>
  /** This process tells no more. */
  leave(): Promise<void>
}

export interface TellingProcess {
  readonly id: string
  /** Null: it was not heard of for a while. */
  readonly now: string | null
}
