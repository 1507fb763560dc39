/** How much waits or runs, and who wants to know when nothing does any more. */
export class Activity {
  private count = 0
  private idlers: (() => void)[] = []

  begin(): void {
    this.count++
  }

  end(): void {
    this.count--
    if (this.count > 0) return
    for (const idler of this.idlers) idler()
    this.idlers = []
  }

  idle(): Promise<void> {
    return this.count === 0 ? Promise.resolve() : new Promise((resolve) => this.idlers.push(resolve))
  }
}
