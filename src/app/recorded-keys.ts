/**
 * What is recorded of each feature in this store. Stores that were begun by a release that samples do so; older ones record every change until
 * FABRA_HISTORY says otherwise. Which that is, and what was recorded of which feature until now, is noted beside the history, among what changed. So is
 * how long computed values are kept where nothing says it: stores of earlier releases keep all.
 *
 * Where not all is recorded, the newest row of a key may be older than what was served of it. So whoever asks history for latest values (a start, a
 * store to be filled again, reads while it is away) is told nothing instead, and computes.
 */
import type { Clock, Micros } from '../clock.ts'
import type { SqlDefinitions } from '../compute/sql/sql-definitions.ts'
import { takesInputs } from '../definition/feature-traits.ts'
import { fieldOf } from '../definition/feature-version.ts'
import { isLatestValue, percent, recordedWords, whyRecorded } from '../definition/history-sample.ts'
import type { Feature, WhyAllKeys } from '../definition/model.ts'
import type { ChangeRecord, ChangeStore } from '../store/ports/change-store.ts'
import type { HistoryRow, OfflineStore } from '../store/ports/offline-store.ts'
import type { Stores } from './stores.ts'

/** The subject of what is noted of the store; no feature is called so. */
const STORE = '-'
const MOST_NOTES = 20_000
const DAY: Micros = 86_400_000_000
/** For which a store that begins keeps computed values. */
const KEEP_DAYS = 400

export interface RecordedKeysOptions {
  readonly clock: Clock
  /** Of features that do not say it; null: as the store began. */
  readonly historyMode: 'auto' | 'changes' | null
  /** Of keys. */
  readonly historySample: number
  /** Of computed values; null: for ever. */
  readonly historyKeep: Micros | 'as the store began' | null
  /** How long appended rows of sources stay; null: for ever. */
  readonly rowsKeep: Micros | null
}

export interface RecordedKeys {
  /** As it is given, but for latest values that may not be the latest. */
  readonly offline: OfflineStore
  /** With what is recorded of each feature. @throws FabraError store_unavailable */
  resolve(definitions: SqlDefinitions): Promise<SqlDefinitions>
  /** Features of which all keys are recorded, since the store keeps to that, and the share of them that would do. */
  couldSample(): { readonly features: ReadonlySet<string>; readonly share: number }
  /** How long computed values stay in history; null: for ever. */
  readonly keep: Micros | null
}

/** Of the store, or of a feature's version. */
type Note = StoreNote & Partial<FeatureNote>

interface StoreNote {
  readonly mode?: 'auto'
  readonly keepDays?: number
}

interface FeatureNote {
  /** Of its keys; none: its history is off. */
  readonly share: number
  /** What was recorded earlier may have been followed by what was not. */
  readonly since: Micros | null
  /** All keys were recorded until then. */
  readonly from: Micros | null
}

type Notes = ReadonlyMap<string, Note>

/** @throws FabraError store_unavailable */
export async function openRecordedKeys(
  { offline, changes }: Pick<Stores, 'offline' | 'changes'>,
  { clock, historyMode: mode, historySample: share, historyKeep, rowsKeep }: RecordedKeysOptions,
): Promise<RecordedKeys> {
  // Also where it is told: a store that is begun with auto keeps to it.
  const begun = await beginningOf(offline, changes, { clock, mode })
  const own = mode ?? begun.mode ?? 'changes'
  /** By field, those of which not all that is recorded counts. */
  const partly = new Map<string, Feature>()
  let couldSample: ReadonlySet<string> = new Set()

  return {
    offline: withLatestOnly(offline, (field) => partly.get(field)),
    async resolve(definitions) {
      const notes = await readNotes(changes)
      const toNote: ChangeRecord[] = []
      const features = new Map<string, Feature>()
      for (const [name, feature] of definitions.registry.features) {
        const chosen = chosenFor(feature, definitions, { mode: own, isTold: mode !== null, share, rowsLeave: rowsKeep !== null })
        const field = fieldOf(feature)
        const known = notes.get(field)
        const note = nextNote(shareOf(chosen), known, clock.now())
        if (note.share !== (known?.share ?? 1)) toNote.push(noteOf(field, note, clock.now(), `${known?.share ?? 1}:${known?.since ?? ''}`))
        const resolved = withTimes(chosen, note)
        features.set(name, resolved)
        if (resolved.sampled !== undefined || resolved.recordedSince !== undefined) partly.set(field, resolved)
        else partly.delete(field)
      }
      await changes.addChanges(toNote)
      const all = [...definitions.registry.features.values()].filter(({ historyUnsaid }) => own === 'changes' && historyUnsaid)
      const auto = all.filter(
        (feature) =>
          chosenFor(feature, definitions, { mode: 'auto', isTold: true, share, rowsLeave: rowsKeep !== null }).sampled !== undefined,
      )
      couldSample = new Set(auto.map(({ name }) => name))
      return { ...definitions, registry: { ...definitions.registry, features } }
    },
    couldSample: () => ({ features: couldSample, share }),
    keep: historyKeep !== 'as the store began' ? historyKeep : begun.keepDays === undefined ? null : begun.keepDays * DAY,
  }
}

/** Several processes that begin a store at once come to the same: what it is noted to be is written before anything else is. */
async function beginningOf(
  offline: OfflineStore,
  changes: ChangeStore,
  { clock, mode }: { readonly clock: Clock; readonly mode: RecordedKeysOptions['historyMode'] },
): Promise<StoreNote> {
  const noted = (await readNotes(changes)).get(STORE)
  if (noted !== undefined) return noted
  const [starts, lastSeq] = await Promise.all([changes.changes({ kind: 'start', limit: 1 }), offline.lastSeq()])
  if (starts.length > 0 || lastSeq > 0) return (await readNotes(changes)).get(STORE) ?? {}
  const note: StoreNote = { ...(mode === 'changes' ? {} : { mode: 'auto' }), keepDays: KEEP_DAYS }
  await changes.addChanges([noteOf(STORE, note, clock.now(), 'begun')])
  return (await readNotes(changes)).get(STORE) ?? note
}

const BEGUN_SO: WhyAllKeys = {
  plain: 'this store was begun so (FABRA_HISTORY=auto samples keys where it can)',
  named: 'this store was begun so (FABRA_HISTORY=auto samples keys where it can)',
}

interface Choice {
  readonly mode: 'auto' | 'changes'
  readonly isTold: boolean
  readonly share: number
  /** Of sources. */
  readonly rowsLeave: boolean
}

function chosenFor(feature: Feature, definitions: SqlDefinitions, { mode, isTold, share, rowsLeave }: Choice): Feature {
  const history = feature.historyUnsaid ? mode : feature.history
  const { sampled: _, recordedSince: __, gapFrom: ___, whyAllKeys: ____, ...rest } = feature
  const pastOf = ({ name }: Feature) => definitions.get(name)
  const why = history === 'auto' ? whyRecorded(feature, { registry: definitions.registry, pastOf, rowsLeave }) : null
  const sampled = history === 'auto' && why === null && share < 1 && !takesInputs(feature) ? { share, from: 0 } : undefined
  const isOld = feature.historyUnsaid === true && mode === 'changes' && !isTold
  const whyAll = isOld ? BEGUN_SO : why
  const chosen = { ...rest, history, ...(sampled ? { sampled } : {}) }
  return whyAll === null ? chosen : { ...chosen, whyAllKeys: whyAll }
}

/** By feature, what `auto` comes to and why: where a definition says it, or where it says nothing and the store is told or begun now. */
export function wordsOfAuto(
  definitions: SqlDefinitions,
  { historyMode, historySample: share, rowsKeep }: Pick<RecordedKeysOptions, 'historyMode' | 'historySample' | 'rowsKeep'>,
): ReadonlyMap<string, string> {
  const choice = { mode: historyMode ?? 'auto', isTold: true, share, rowsLeave: rowsKeep !== null }
  const chosen = [...definitions.registry.features.values()].map((feature) => chosenFor(feature, definitions, choice))
  return new Map(chosen.filter(({ history }) => history === 'auto').map((feature) => [feature.name, recordedWords(feature, 'named')]))
}

function shareOf({ history, sampled }: Feature): number {
  return history === 'off' ? 0 : (sampled?.share ?? 1)
}

/** What is recorded of it from now on. */
function nextNote(share: number, known: Note | undefined, now: Micros): FeatureNote {
  const before = { share: known?.share ?? 1, since: known?.since ?? null, from: known?.from ?? null }
  if (share === before.share) return before
  // What is recorded by now is not all there was.
  const since = share > before.share ? now : before.since
  return { share, since, from: before.share === 1 ? now : before.from }
}

function withTimes(feature: Feature, { share, since, from }: FeatureNote): Feature {
  return {
    ...feature,
    ...(feature.sampled ? { sampled: { share, from: from ?? 0 } } : {}),
    ...(since === null ? {} : { recordedSince: since }),
    ...(since === null || from === null || share < 1 ? {} : { gapFrom: from }),
  }
}

/** @param before Processes that note the same after the same note it once. */
function noteOf(subject: string, note: Note, at: Micros, before: string): ChangeRecord {
  const begun = `was begun with history: ${note.mode ?? 'changes'}, computed values of which are kept for ${note.keepDays} days`
  const message = note.share === undefined ? begun : `is recorded for ${percent(note.share)} of keys`
  const id = `history:${subject}:${note.share ?? note.mode ?? 'changes'}:${before}`
  return { id, at, kind: 'history', subject, body: JSON.stringify({ message, ...note }) }
}

async function readNotes(changes: ChangeStore): Promise<Notes> {
  const notes = new Map<string, Note>()
  for (const { subject, body } of await changes.changes({ kind: 'history', limit: MOST_NOTES })) {
    // Newest first. Of the store all count: processes that begin it at once may be told differently.
    if (subject === STORE) notes.set(STORE, { ...(JSON.parse(body) as Note), ...notes.get(STORE) })
    else if (!notes.has(subject)) notes.set(subject, JSON.parse(body) as Note)
  }
  return notes
}

/** @param partly Features, by field, of which not all that is recorded counts. */
export function withLatestOnly(offline: OfflineStore, partly: (field: string) => Feature | undefined): OfflineStore {
  const counts = (row: HistoryRow) => {
    const feature = partly(fieldOf({ name: row.feature, fingerprint: row.fingerprint }))
    return feature === undefined || isLatestValue(feature, row)
  }
  async function* counting(batches: AsyncIterable<readonly HistoryRow[]>) {
    for await (const rows of batches) yield rows.filter(counts)
  }
  const known = (rows: readonly (HistoryRow | undefined)[]) => rows.map((row) => (row && counts(row) ? row : undefined))
  return {
    ...offline,
    latest: (feature, fingerprint, options) => counting(offline.latest(feature, fingerprint, options)),
    latestOfAll: (versions, options) => counting(offline.latestOfAll(versions, options)),
    latestOf: async (feature, fingerprint, keys) => known(await offline.latestOf(feature, fingerprint, keys)),
    latestOfEach: async (wanted, options) => (await offline.latestOfEach(wanted, options)).map(known),
  }
}
