/** Which sources functions were seen to read, told to one another by all processes: nobody else can say it. A hint. */
export interface ObservedSourceStore {
  /** @param field `name@fingerprint` @throws FabraError store_unavailable */
  tell(field: string, sources: readonly string[]): Promise<void>
  /** @returns what any process told of each, in the order given. @throws FabraError store_unavailable */
  of(fields: readonly string[]): Promise<readonly (readonly string[])[]>
}
