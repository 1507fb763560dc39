import type { Coverage, SourceLine, State, Time } from './basics.ts'

/** GET /v1/lineage?feature=… (a feature: what leads to it and what follows alone). */
export interface Lineage {
  now: Time
  nodes: LineageNode[]
  edges: LineageEdge[]
  coverage: Coverage
}

export type LineageNode = SourceNode | FeatureNode | SetNode | ReaderNode

export interface SourceNode {
  /** `source:transactions`. */
  id: string
  kind: 'source'
  name: string
  /** Estimated where it would have to be counted; null: not known. */
  rows: number | null
  newest_row_at: Time | null
  loaded_at: Time | null
  place: SourceLine | null
}

export interface FeatureNode {
  /** `feature:spend`. */
  id: string
  kind: 'feature'
  name: string
  entity: string
  computation: 'sql' | 'function' | 'pushed'
  /** Names as they are asked for: `spend.avg_30d`; of a feature with one value its own name. */
  columns: string[]
  state: State
  reads_per_second: number | null
  place: SourceLine | null
}

export interface SetNode {
  /** `set:fraud_v1`. */
  id: string
  kind: 'set'
  name: string
  /** The worst of its features. */
  state: State
  features: string[]
  reads_per_second: number | null
  place: SourceLine | null
}

/** An API key that reads; only for `admin`. */
export interface ReaderNode {
  /** `key:scoring-api`. */
  id: string
  kind: 'key'
  name: string
  reads_per_second: number | null
}

export interface LineageEdge {
  /** Ids of nodes: from what is read to what reads it. */
  from: string
  to: string
  /** Of sets and keys; null elsewhere, and where it is not known. */
  reads_per_second: number | null
}
