/**
 * Shapes of the JSON that the API's answers about itself have: what a page, a notebook or a script reads. Types alone, so that whoever is
 * a client of the server can import them without the server. Times are RFC 3339 texts in UTC; names of fields end in their unit (`_ms`,
 * `_bytes`, `_per_second`) or are counts; a share is between 0 and 1; null: not known, or there is none.
 */
export type * from './wire/audit.ts'
export type * from './wire/basics.ts'
export type * from './wire/changes.ts'
export type * from './wire/definition.ts'
export type * from './wire/entity.ts'
export type * from './wire/events.ts'
export type * from './wire/features.ts'
export type * from './wire/lineage.ts'
export type * from './wire/overview.ts'
export type * from './wire/runs.ts'
export type * from './wire/storage.ts'
export type * from './wire/training.ts'
