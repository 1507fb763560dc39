import type { SourceLine, Time } from './basics.ts'

/** GET /v1/changes?since=…&limit=…: newest first. */
export interface Changes {
  changes: Change[]
  /** Nothing is known of before. */
  known_since: Time
}

export interface Change {
  at: Time
  /** `version`: a feature is new or was changed. `source`: a source was loaded or appended to. `push`: values were pushed. */
  kind: 'version' | 'source' | 'push' | 'key' | 'start'
  /** What changed: name of the feature, the source or the key; of a start, the version of Fabra. Null: name of a key, to who lacks `admin`. */
  subject: string | null
  /** For people, without the subject: `has version 4`. */
  message: string
  /** Of a version: its number, from 1. */
  version_number: number | null
  /** Rows loaded, appended or pushed. */
  rows: number | null
  place: SourceLine | null
}
