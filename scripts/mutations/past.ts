// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import type { Mutation } from './mutation.ts'

const SHADOW = 'src/compute/sql/rewrite/visibility.ts'
const JOINED = 'src/compute/sql/duckdb/windowed-aggregate-statement.ts'
const CHECKS = 'src/compute/sql/rewrite/forbidden.ts'
const LEAKS = 'test/compute/leaks.test.ts'
const PARAMETERS = 'src/compute/sql/rewrite/parameters.ts'
const KEY_NAME = "${['user_id', 'merchant_id'][i]}"

const AS_OF = 'test/training/as-of-oracle.test.ts'
const POSTGRES_SQL = 'src/store/postgres/history/history-sql.ts'
const POSTGRES_ROWS = 'src/store/postgres/history/history-rows.ts'
const RESUMING = 'test/training/resuming.test.ts'
const KEEPER = 'src/store/duckdb/training/resume/steps.ts'
const PARTS = 'src/store/duckdb/training/resume/kept-files.ts'
const MERGED = 'test/compute/merged-windows.test.ts'
const HISTORY_SQL = 'src/store/duckdb/training/as-of-join.ts'

/** What may be seen of the past. */
export const mutations: readonly Mutation[] = [
  {
    name: 'training: a recorded value of the very time is not seen',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: 'r.t >= s${f}.seen', to: 'r.t > s${f}.seen' }],
  },
  {
    name: 'training: a recorded value of exactly the look-back is too old',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: '${bigint(lookBack)} + 1) AS ends', to: '${bigint(lookBack)}) AS ends' }],
  },
  {
    name: 'training: ties are not broken by the order of arrival',
    suite: AS_OF,
    changes: [
      { file: HISTORY_SQL, from: 'BY seen, event_at, available_at, seq R', to: 'BY seen, event_at, available_at, -seq R' },
      { file: HISTORY_SQL, from: 'BY event_at, available_at, seq)', to: 'BY event_at, available_at, -seq)' },
    ],
  },
  {
    name: 'training: what has not arrived yet is seen',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: "'GREATEST(event_timestamp, available_at)'", to: "'event_timestamp'" }],
  },
  {
    name: 'training: one future value gets through',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: "'GREATEST(event_timestamp, available_at)'", to: "'LEAST(event_timestamp, available_at)'" }],
  },
  {
    name: 'training: a recorded value of the very time is not seen in PostgreSQL',
    suite: AS_OF,
    changes: [{ file: POSTGRES_SQL, from: '`event_timestamp <= r.t ', to: '`event_timestamp < r.t ' }],
  },
  {
    name: 'training: what has not arrived yet is seen in PostgreSQL',
    suite: AS_OF,
    changes: [{ file: POSTGRES_SQL, from: "serving: 'AND available_at <= r.t'", to: "serving: ''" }],
  },
  {
    name: 'training: ties are not broken in PostgreSQL',
    suite: 'test/training/point-in-time.test.ts',
    changes: [
      {
        file: POSTGRES_ROWS,
        from: 'event_timestamp DESC, available_at DESC, seq DESC',
        to: 'event_timestamp DESC, available_at DESC, seq',
      },
    ],
  },
  {
    name: 'training: a row of exactly the last time is not brought over',
    suite: 'test/training/point-in-time.test.ts',
    changes: [
      { file: POSTGRES_SQL, from: "AND event_timestamp <= ${timeOf('$5::bigint')}`", to: "AND event_timestamp < ${timeOf('$5::bigint')}`" },
    ],
  },
  {
    name: 'training: a tombstone uncovers the value before it',
    suite: 'test/training/point-in-time.test.ts',
    changes: [{ file: HISTORY_SQL, from: '    only,', to: "    only, 'value IS NOT NULL'," }],
  },
  {
    name: 'training: what is seen at the last time asked about is left out',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: '<= last_t', to: '< last_t' }],
  },
  {
    name: 'training: what ends just after the first time asked about is left out',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: 'ends > first_t', to: 'ends > first_t + 1' }],
  },
  {
    name: 'training: rows left out are no longer missed in the order of the others',
    suite: 'test/training/point-in-time.test.ts',
    changes: [{ file: HISTORY_SQL, from: ' OR NOT is_step', to: '' }],
  },
  {
    name: 'training: rows are taken for steps though an older event came later',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: 'seen < next_seen AND ${isGreater}', to: 'seen < next_seen' }],
  },
  {
    name: 'training: rows that are seen at once are taken for steps',
    suite: AS_OF,
    changes: [{ file: HISTORY_SQL, from: 'seen < next_seen AND ${isGreater}', to: '${isGreater}' }],
  },
  {
    name: 'training: every column of a recorded object is its first',
    suite: 'test/training/point-in-time.test.ts',
    changes: [{ file: 'src/store/duckdb/training/typed-values.ts', from: '[${column + 1}]', to: '[1]' }],
  },
  {
    name: 'training: what stands for the hash stays in the file',
    suite: 'test/training/training-sets.test.ts',
    changes: [{ file: 'src/store/duckdb/training/result-file.ts', from: '[[standIn, hash], ...pandas', to: '[...pandas' }],
  },
  {
    name: 'training: the order of the rows does not count for the hash',
    suite: 'test/training/training-sets.test.ts',
    changes: [{ file: 'src/store/duckdb/training/result.ts', from: "['file_row_number', ...texts]", to: '[...texts]' }],
  },
  {
    name: 'training: what an interrupted run has left is used for other code of the same version',
    suite: RESUMING,
    changes: [
      { file: 'src/training/resume-identity.ts', from: 'feature.fingerprint, feature.codeFingerprint, by', to: 'feature.fingerprint, by' },
    ],
  },
  {
    name: 'training: what an interrupted run has left is used though sources have changed',
    suite: RESUMING,
    changes: [{ file: KEEPER, from: 'sha256([identity, own, state])', to: 'sha256([identity, own])' }],
  },
  {
    name: 'training: what an interrupted run has left is used for other inputs',
    suite: RESUMING,
    changes: [{ file: KEEPER, from: 'await rowsDigest(step.entity, step.inputs)]', to: 'await rowsDigest(step.entity, [])]' }],
  },
  {
    name: 'training: the order of events does not count for what an interrupted run has left',
    suite: RESUMING,
    changes: [{ file: 'src/store/duckdb/training/resume/input-digest.ts', from: "['rowid']", to: '[]' }],
  },
  {
    name: 'training: a damaged part is used',
    suite: RESUMING,
    changes: [{ file: PARTS, from: '(await hashFile(target)) === part.hash', to: 'true' }],
  },
  {
    name: 'training: a part is kept after a key was forgotten',
    suite: RESUMING,
    changes: [{ file: PARTS, from: '() => opened === generation)', to: '() => true)' }],
  },
  {
    name: 'training: the default is forgotten',
    suite: 'test/training/point-in-time.test.ts',
    changes: [{ file: 'src/store/duckdb/training/result.ts', from: 'return fallback === undefined ?', to: 'return true ?' }],
  },
  { name: 'a row is seen at its own time', changes: [{ file: SHADOW, from: "'<', limit", to: "'<=', limit" }] },
  {
    name: 'a row is seen at its own time by the event-sorted way',
    changes: [{ file: JOINED, from: '{ start: 0, end: 1, event: 2 }', to: '{ start: 0, end: 2, event: 1 }' }],
  },
  {
    name: 'an event where its window begins is not seen by the event-sorted way',
    changes: [{ file: JOINED, from: '{ start: 0, end: 1, event: 2 }', to: '{ start: 2, end: 0, event: 1 }' }],
  },
  {
    name: 'delay is ignored by the event-sorted way',
    changes: [{ file: JOINED, from: 'edge(HAPPENS.end, joined.plan.shadow.source.delay)', to: 'edge(HAPPENS.end, 0)' }],
  },
  {
    name: 'one event more is seen by the event-sorted way',
    changes: [{ file: JOINED, from: '__fabra_after${i} - 1 PRECEDING', to: '__fabra_after${i} PRECEDING' }],
  },
  {
    name: 'a row is seen at its own time by the joined way',
    changes: [
      { file: JOINED, from: '__fabra_e.__fabra_at < __fabra_r.__fabra_at - $', to: '__fabra_e.__fabra_at <= __fabra_r.__fabra_at - $' },
    ],
  },
  {
    name: 'every window is the longest of those that are joined together',
    suite: MERGED,
    changes: [{ file: JOINED, from: "joined.lowers.length === 1 ? '' : ` FILTER", to: "joined.lowers.length > 0 ? '' : ` FILTER" }],
  },
  {
    name: 'every window is the first of those that are put in order together',
    suite: MERGED,
    changes: [{ file: JOINED, from: 'OVER __fabra_window${window} AS', to: 'OVER __fabra_window0 AS' }],
  },
  {
    name: 'only the events of the shortest window are joined',
    suite: MERGED,
    changes: [{ file: JOINED, from: '`GREATEST(${reaches.map', to: '`LEAST(${reaches.map' }],
  },
  {
    name: 'windows that begin at the same time are one, whether they hold it or not',
    suite: MERGED,
    changes: [{ file: JOINED, from: ' && lower?.inclusive === own?.inclusive', to: '' }],
  },
  {
    name: 'windows that are put in order together begin where the first of them does',
    suite: MERGED,
    changes: [{ file: JOINED, from: 'positionOf(HAPPENS.start - i)', to: 'positionOf(HAPPENS.start)' }],
  },
  {
    name: 'a shadow is forgotten in a subquery',
    changes: [
      {
        file: 'src/compute/sql/rewrite/statement.ts',
        from: '...shadows.flatMap((shadow) => shadowEdits(sql, shadow, visiblePart(shadow, row.asOf, options.copyOf)))',
        to: '...shadows.slice(0, 1).flatMap((shadow) => shadowEdits(sql, shadow, visiblePart(shadow, row.asOf, options.copyOf)))',
      },
    ],
  },
  {
    name: 'an outer name is captured',
    changes: [
      { file: 'src/store/duckdb/sql.ts', from: '__fabra_k${i}', to: KEY_NAME },
      { file: PARAMETERS, from: '__fabra_k${i}', to: KEY_NAME },
      { file: JOINED, from: '__fabra_k${i}', to: KEY_NAME },
      {
        file: PARAMETERS,
        from: '`__fabra_row.__fabra_k${keyIndex(written, entity)}`',
        to: "`__fabra_row.${['user_id', 'merchant_id'][keyIndex(written, entity)]}`",
      },
      {
        file: 'src/compute/sql/binding.ts',
        from: 'store.prepare(build(standIns(owner, false)).text)',
        to: 'store.prepare(`SELECT q.* FROM (SELECT CAST(NULL AS VARCHAR) AS user_id) AS o, LATERAL (${build(standIns(owner, false)).text}\\n) AS q`)',
      },
    ],
  },
  {
    name: 'delay is ignored',
    changes: [{ file: SHADOW, from: 'const limit = source.delay === 0 ? asOf :', to: 'const limit = source.delay >= 0 ? asOf :' }],
  },
  {
    name: 'rows without a time are seen',
    changes: [
      {
        file: SHADOW,
        from: "conditions.push(compare(source, table, source.timestamp, '<', limit))",
        to: "conditions.push(`(${quoteName(source.timestamp)} IS NULL OR ${compare(source, table, source.timestamp, '<', limit)})`)",
      },
    ],
  },
  {
    name: 'available is dropped',
    changes: [{ file: SHADOW, from: 'if (source.available !== null) conditions.push', to: 'if (source.delay < 0) conditions.push' }],
  },
  {
    name: 'available is strict',
    changes: [{ file: SHADOW, from: "source.available, '<=', asOf", to: "source.available, '<', asOf" }],
  },
  { name: 'until is strict', changes: [{ file: SHADOW, from: "source.until, '>=', asOf", to: "source.until, '>', asOf" }] },
  {
    name: 'repeats of an id are kept',
    changes: [
      { file: SHADOW, from: 'if (source.id !== null && hasRowId)', to: 'if (source.delay < 0 && source.id !== null && hasRowId)' },
      { file: SHADOW, from: 'else if (source.id !== null) rows', to: 'else if (source.delay < 0 && source.id !== null) rows' },
    ],
  },
  {
    name: 'the timezone is ignored',
    changes: [{ file: SHADOW, from: 'return /^(?:UTC', to: 'return zone !== "" || /^(?:UTC' }],
  },
  {
    name: 'the present is the real one',
    changes: [{ file: 'src/compute/sql/rewrite/now-functions.ts', from: 'now: (asOf) => asOf', to: 'now: () => "now()"' }],
  },
  {
    name: 'undeclared tables are read in the past',
    suite: LEAKS,
    changes: [
      {
        file: 'src/compute/sql/rewrite/analysis.ts',
        from: 'const [stranger] = sql.undeclared',
        to: 'const [stranger] = sql.undeclared.slice(0, 0)',
      },
    ],
  },
  {
    name: 'functions may read tables',
    suite: LEAKS,
    changes: [{ file: CHECKS, from: 'if (ref.table && !TABLE_FUNCTIONS', to: 'if (ref.table && ref.name === "" && !TABLE_FUNCTIONS' }],
  },
  { name: 'macros are called', suite: LEAKS, changes: [{ file: CHECKS, from: '  if (own) {', to: '  if (own && ref.name === "") {' }] },
  {
    name: 'the word now becomes a time',
    suite: LEAKS,
    changes: [{ file: CHECKS, from: 'for (const word of sql.tree.timeWords)', to: 'for (const word of sql.tree.timeWords.slice(0, 0))' }],
  },
  {
    name: 'random functions are called',
    suite: LEAKS,
    changes: [{ file: CHECKS, from: 'if (REFUSED.has(ref.name) || volatile || within)', to: 'if (REFUSED.has(ref.name) || within)' }],
  },
  {
    name: 'sets lose what is counted of nothing',
    suite: 'test/compute/sets.test.ts',
    changes: [{ file: 'src/compute/sql/sql-definitions.ts', from: "(world.dialect === 'duckdb' ? setRefusal(sql) : null)", to: 'null' }],
  },
]
