/** How far a training set is, as those see it who wait for it. */

export interface TrainingPace {
  /** What is being computed: a feature, or several. */
  readonly feature: string
  /** Label rows it has its values for, null where they come all at once. */
  readonly rows: number | null
  readonly rowsPerSecond: number | null
  /** Of the whole set, guessed from how long the features so far took; null: not known yet. */
  readonly secondsLeft: number | null
}

/** Reading the labels, and all but writing. */
const [READ, COMPUTED] = [0.05, 0.9]

export class Progress {
  private readonly featureCount: number
  private readonly rowCount: number
  private readonly began = performance.now()
  private current = { feature: '', began: this.began, from: 0 }
  private doneCount = 0

  constructor(featureCount: number, rowCount: number) {
    this.featureCount = featureCount
    this.rowCount = rowCount
  }

  begin(feature: string): { readonly pace: TrainingPace } {
    this.current = { feature, began: performance.now(), from: 0 }
    return { pace: this.pace(0, null) }
  }

  /** @param taken Share of the feature's rows that were there from an interrupted run. */
  share(share: number, taken: number): { readonly progress: number; readonly pace: TrainingPace } {
    this.current.from = Math.max(this.current.from, taken)
    return { progress: this.progress(share), pace: this.pace(share, share - this.current.from) }
  }

  done(count: number): { readonly progress: number; readonly pace: null } {
    this.doneCount += count
    return { progress: this.progress(0), pace: null }
  }

  /** Reading and writing are guessed to be a seventh of the work. */
  private progress(share: number): number {
    return READ + ((COMPUTED - READ) * (this.doneCount + share)) / Math.max(1, this.featureCount)
  }

  private pace(share: number, computed: number | null): TrainingPace {
    const seconds = (performance.now() - this.current.began) / 1000
    const fraction = (this.doneCount + share) / Math.max(1, this.featureCount)
    const elapsed = (performance.now() - this.began) / 1000
    return {
      feature: this.current.feature,
      rows: computed === null ? null : Math.round(share * this.rowCount),
      rowsPerSecond: computed === null || seconds === 0 ? null : Math.round((computed * this.rowCount) / seconds),
      secondsLeft: fraction === 0 ? null : Math.round((elapsed * (1 - fraction)) / fraction),
    }
  }
}
