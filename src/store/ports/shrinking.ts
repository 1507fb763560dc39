/** A file that holds more room than what is in it: the room goes back to the disk, a piece at a time, while everything else goes on. */
export interface Shrinking {
  /**
   * Moves some thousand rows from the end of the file into the room that others have left, and cuts off what is empty at its end then. Nothing that can
   * be asked has another answer for it. @param tables Of sources whose rows may stand in any order. @returns whether there is more to do. @throws FabraError store_unavailable
   */
  shrinkLot(tables?: readonly string[]): Promise<boolean>
  /** Bytes of the file. */
  bytes(): number
}
