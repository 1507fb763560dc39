import type { Distribution, State, Time } from './basics.ts'

/** GET /v1/training-sets: those made since the start and still remembered (a hundred), newest first. */
export interface TrainingSets {
  training_sets: TrainingSetSummary[]
}

export interface TrainingSetSummary {
  id: string
  state: 'running' | 'done' | 'failed' | 'cancelled'
  /** 0 to 1. */
  progress: number
  began_at: Time
  finished_at: Time | null
  rows: number | null
  features: string[]
  dataset_hash: string | null
  /** Why it failed. */
  error: { code: string; message: string } | null
  warnings: number
  /** Of what is being computed; null: not known. */
  seconds_left: number | null
  /** Some of its values are kept, so that what is served can be compared with it (`against`). */
  has_samples: boolean
}

/**
 * POST /v1/training-sets?limit=50 (labels and options as without `limit`): nothing is kept; so many label rows, spread over the time of
 * the labels, with their features. GET /v1/training-sets/{id} is told of the whole; DELETE /v1/training-sets/{id} stops it.
 */
export interface TrainingPreview {
  /** Of the labels. */
  rows: number
  /** Columns of the set in their order: those of the labels, then those of features. */
  columns: PreviewColumn[]
  /** As many values each as there are columns. */
  preview: PreviewRow[]
  /** Of the labels or a source: those of a column stand at it. */
  warnings: PreviewWarning[]
}

export interface PreviewColumn {
  name: string
  /** Null: it comes from the labels. */
  feature: string | null
  method: 'recompute' | 'replay' | 'history' | null
  /** Of the rows of the preview. */
  null_share: number | null
  /** Of the rows of the preview. */
  distribution: Distribution | null
  /** What is served of it today. */
  served: Distribution | null
  warnings: PreviewWarning[]
}

export interface PreviewRow {
  /** Number of the label row, from 0. */
  row: number
  values: unknown[]
  /** State of each value of a feature as of then; null of columns of the labels. */
  states: (State | null)[]
}

export interface PreviewWarning {
  /** `leak`: alone it tells the label nearly. `nulls`, `drifted`: otherwise than today. `other`: what the message says. */
  code: 'leak' | 'nulls' | 'drifted' | 'other'
  message: string
  hint: string
}
