/** What one training set keeps of itself while it is made, and takes over from a run of the same set that was interrupted. */
import type { RunOptions, TableColumn } from '../../../ports/source-engine.ts'
import type { Reads } from '../../../ports/training-store.ts'
import { engineVersion } from '../../connection/engine-version.ts'
import type { Session } from '../../connection/session.ts'
import { quoteName } from '../../sql.ts'
import { digest, type TrainingState } from './input-digest.ts'
import type { KeptFiles, KeptSet, RowRange } from './kept-files.ts'

/** What takes no longer than this in all is quickly made again. */
const KEEP_AFTER_MS = 3_000
/** Row by row, a part ends after this share of the time so far: so much is lost at most when the set is interrupted. */
const LOST_SHARE = 0.1
const LONGEST_PART_MS = 30_000
/** Rows from which on it is clear that it will take longer. */
const MANY_ROWS = 200_000

/** One question about all label rows, which may be answered in parts. */
export interface Step {
  /** Everything that decides its values, besides the label rows and what it reads; as JSON. */
  readonly request: unknown
  readonly entity: number
  /** Columns of the labels that it looks at. */
  readonly inputs: readonly string[]
  readonly reads: Reads
  /** How many features it answers. */
  readonly features: number
}

export interface ResumeStep {
  /** Whether what was made since the last part is worth one. Both in milliseconds. */
  isDue(sinceLast: number, sinceBegin: number): boolean
  /** Puts the rows from this one on at `target`, as far as they are there. @returns the first row that is not; undefined: none is there. */
  take(from: number, target: string, options: RunOptions): Promise<number | undefined>
  /** @param file has the values of these rows, made since the step began or since the last part. */
  keep(range: RowRange, file: string, options: RunOptions): Promise<void>
}

export interface ResumeLog {
  begin(step: Step, options: RunOptions): Promise<ResumeStep>
  /** Values taken over so far: one for each feature and row. */
  readonly taken: number
  /** Nothing more is kept. */
  close(): void
  /** Nothing of this set is needed again. */
  remove(): Promise<void>
}

export const KEEP_NOTHING: ResumeLog = {
  begin: () => Promise.resolve({ isDue: () => false, take: () => Promise.resolve(undefined), keep: () => Promise.resolve() }),
  taken: 0,
  close: () => undefined,
  remove: () => Promise.resolve(),
}

/** Where parts are kept, and how it is told that they still hold. */
export interface KeptFilesOptions {
  readonly parts: KeptFiles
  readonly state: TrainingState
  /** Another than the default by tests only. */
  readonly keepAfterMs?: number | undefined
}

/** The label rows, as far as they decide values. */
export interface KeptRows {
  readonly session: Session
  /** File of the rows, quoted. */
  readonly rows: string
  readonly rowCount: number
  readonly labels: readonly TableColumn[]
  readonly keyCounts: readonly number[]
}

export interface SetIdentity {
  /** What is asked of the labels, as text: the features in their versions, and options that decide values. */
  readonly asked: string
  readonly fresh: boolean
}

export async function createResumeLog(
  place: KeptFilesOptions,
  rows: KeptRows,
  { asked, fresh }: SetIdentity,
  options: RunOptions,
): Promise<ResumeLog> {
  const { keepAfterMs = KEEP_AFTER_MS } = place
  const started = performance.now()
  const digests = new Map<string, Promise<string>>()
  const rowsDigest = (entity: number, inputs: readonly string[]) => {
    const what = JSON.stringify([entity, inputs])
    const known = digests.get(what) ?? digestRows(rows, entity, inputs, options)
    digests.set(what, known)
    return known
  }
  const all = await Promise.all(rows.keyCounts.map((_, entity) => rowsDigest(entity, [])))
  const identity = [asked, engineVersion(), ...all]
  const set: KeptSet = await place.parts.open(sha256(identity), fresh)
  let taken = 0
  return {
    async begin(step, run) {
      const own = [step.request, step.features, await rowsDigest(step.entity, step.inputs)]
      const nameOf = (state: string) => sha256([identity, own, state])
      const isLong = () => performance.now() - started >= keepAfterMs
      let note = await place.state.note(step.reads, set.wasInterrupted || rows.rowCount >= MANY_ROWS || isLong(), run)
      return {
        isDue: (sinceLast, sinceBegin) => sinceLast >= Math.min(LONGEST_PART_MS, Math.max(keepAfterMs, sinceBegin * LOST_SHARE)),
        async take(from, target, left) {
          const state = set.wasInterrupted ? await note.still(left) : null
          const found = state === null ? undefined : await set.take(nameOf(state), from, target)
          if (found) taken += (found.to - found.from) * step.features
          return found?.to
        },
        async keep(range, file, left) {
          if (!isLong()) return
          const state = await note.still(left)
          if (state !== null) await set.keep(nameOf(state), range, file)
          note = await place.state.note(step.reads, true, left)
        },
      }
    },
    get taken() {
      return taken
    },
    close: set.close,
    remove: set.remove,
  }
}

function digestRows(
  { session, rows, labels, keyCounts }: KeptRows,
  entity: number,
  inputs: readonly string[],
  options: RunOptions,
): Promise<string> {
  const keys = Array.from({ length: keyCounts[entity] ?? 0 }, (_, i) => `__fabra_e${entity}_k${i}`)
  const given = inputs.map((input) => `CAST(l.${quoteName(input)} AS VARCHAR)`)
  const types = inputs.map((input) => labels.find(({ name }) => name === input)?.type)
  const row = `hash(${['__fabra_ord', '__fabra_as_of', `__fabra_e${entity}_key`, ...keys, ...given].join(', ')})`
  const from = `read_parquet(${rows}) AS r${inputs.length === 0 ? '' : ' JOIN labels AS l USING (__fabra_ord)'}`
  return digest(session, { row, from }, options).then((text) => `${JSON.stringify(types)} ${text}`)
}

function sha256(value: unknown): string {
  return new Bun.CryptoHasher('sha256').update(JSON.stringify(value)).digest('hex')
}
