// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const CONNECTION = 'test/store/postgres-connection.test.ts'
const HISTORY = 'test/store/postgres-offline-store.test.ts'
const ROWS = 'test/store/postgres-source-rows.test.ts'
const FILES = 'test/store/postgres-source-files.test.ts'
const FOLDER = 'src/store/postgres'

/** What several processes, poolers and servers that go away bring to light. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: CONNECTION, file: `${FOLDER}/connection/pooled-connection.ts` },
    {
      'postgres: read-only work may write': ["${readOnly ? ' READ ONLY' : ''}", ''],
      'postgres: times are in the zone of the server': ["    DateStyle: 'ISO, YMD',\n", "    DateStyle: 'SQL, DMY',\n"],
      "postgres: users' tables are made in Fabra's schema": ['if (first) await findSearchPath(at)', ''],
      'postgres: a failed transaction counts as committed': ["if (command === 'COMMIT') return", 'if (command) return'],
      'postgres: a stalled connection is used again': ['        last = current.abandon(connection)\n', ''],
    },
  ),
  ...mistakes(
    { suite: CONNECTION, file: `${FOLDER}/connection/current-connection.ts` },
    {
      'postgres: nobody is told to stop': ['query.active ? query.canceller?.(query) : undefined', 'undefined'],
      'postgres: a pooler is left before it was told to stop': [
        'await Promise.race([Promise.allSettled(words), patience])',
        'Promise.race([Promise.allSettled(words), patience])',
      ],
    },
  ),
  ...mistakes(
    { suite: CONNECTION, file: `${FOLDER}/connection/connection.ts` },
    {
      'postgres: any number may wait': ['waiting.length >= maxWaiting', 'waiting.length >= 1e9'],
      'postgres: the wait for a connection does not count': ['Promise.race([promise, deadline.over])', 'promise'],
    },
  ),
  ...mistakes(
    { suite: CONNECTION, file: `${FOLDER}/connection/driver.ts` },
    {
      'postgres: numbers pass through floats': ['from: [16, 17, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802]', 'from: [16, 17]'],
      'postgres: quotes in lists are not escaped': ["value.replace(NEEDS_ESCAPE, '\\\\$&')", 'value'],
    },
  ),
  ...mistakes(
    { suite: 'test/store/postgres-migrate.test.ts', file: `${FOLDER}/schema/migrate.ts` },
    {
      'postgres: migrations run without the lock': ["  await statements.run('SELECT pg_advisory_xact_lock($1::bigint)', [LOCK])\n", ''],
      'postgres: a newer schema is taken': ['  if (unknown) {', '  if (unknown && migrations.length === 0) {'],
      'postgres: a changed step is taken': ['checksum !== checksumOf(migration)', 'checksum === null'],
    },
  ),
  ...mistakes(
    { suite: HISTORY, file: `${FOLDER}/history/history-write-sql.ts` },
    {
      'postgres: forgetting does not wait for those who write': [
        '"SELECT pg_advisory_xact_lock(hashtext(\'fabra.fences\'))"',
        "'SELECT 1'",
      ],
      'postgres: a fence hides nothing': ['f.fenced_at >= ', 'f.fenced_at < '],
      'postgres: rows sent again are stored again': ['ON CONFLICT DO NOTHING`\n\nconst PACKED', '`\n\nconst PACKED'],
      'postgres: packed rows sent again are stored again': ['${mayBeThere ? `AND NOT ${isThere', '${mayBeThere ? `OR ${isThere'],
      'postgres: a push that another process stored is stored again': ['return `(r.may_repeat AND (', 'return `(false AND ('],
      'postgres: equal pushes at two processes do not see each other': ["pg_advisory_xact_lock(hashtext('fabra.pushed'), lot.n)", 'lot.n'],
      'postgres: equals of pushed rows are looked for by reading a month': ["enable_seqscan: 'off'", "enable_seqscan: 'on'"],
      'postgres: a forgotten key stays packed': ['AND p.version = v.id AND ${isOfKey', 'AND p.version <> v.id AND ${isOfKey'],
    },
  ),
  ...mistakes(
    { suite: HISTORY, file: `${FOLDER}/history/history-sql.ts` },
    { 'postgres: what was not available yet is seen': ["available_at <= ${timeOf('$3::bigint')}", '$3::bigint IS NOT NULL'] },
  ),
  ...mistakes(
    { suite: HISTORY, file: `${FOLDER}/history/history-rows.ts` },
    {
      'postgres: ties are broken by nothing': [
        "NEWEST_FIRST = 'event_timestamp DESC, available_at DESC, seq DESC'",
        "NEWEST_FIRST = 'event_timestamp DESC, available_at DESC'",
      ],
      'postgres: what is far does not fit': ['...lags.map((lag) => isWithin(lag, 31)), isWithin(rest', 'isWithin(rest'],
      'postgres: plain rows are not read beside packed ones': ['...(hasPlain(layout) ?', '...(!hasPacked(layout) ?'],
    },
  ),
  ...mistakes(
    { suite: HISTORY, file: `${FOLDER}/history/history-layout.ts` },
    { 'postgres: what writes does not hear that the schema was finished': ['const now = await look()', 'const now = layout'] },
  ),
  ...mistakes(
    { suite: HISTORY, file: `${FOLDER}/history/history-partitions.ts` },
    {
      'postgres: rows stay behind when their month is made': [
        'DELETE FROM fabra.${table}_default WHERE',
        'DELETE FROM fabra.${table}_default WHERE false AND',
      ],
      'postgres: months are made without the lock': ['      await statements.run(`SELECT ${LOCK}`)\n', ''],
      'postgres: odd times get months of their own': ['if (eventAt < createdAt - OLDEST || eventAt > createdAt + NEWEST) continue', ''],
    },
  ),
  ...mistakes(
    { suite: ROWS, file: `${FOLDER}/sources/source-rows.ts` },
    {
      'postgres: one bad request fails its neighbours': [
        'if (requests.length === 1) return',
        'if (requests.length > 0) throw error\n      if (requests.length === 1) return',
      ],
      'postgres: settles what others appended': ['[before, writer, inherited]', "[before, 'living', inherited]"],
    },
  ),
  ...mistakes(
    { suite: ROWS, file: `${FOLDER}/sources/source-rows-append.ts` },
    {
      'postgres: two processes append one id': ['  await statements.run(HOLD_SOURCE, [source.name])\n', ''],
      'postgres: a default is written over': ['hasDefault && (row[c] ?? null) === null', 'hasDefault && row[c] === undefined'],
    },
  ),
  ...mistakes(
    { suite: ROWS, file: `${FOLDER}/sources/source-rows-sql.ts` },
    {
      'postgres: naive times are in no zone': [
        "if (zone !== null) return `timezone('${zone.replaceAll(\"'\", \"''\")}', ${text}::timestamptz)`",
        '',
      ],
      'postgres: a text that is too long is found to fit': ['  if (length) return', '  if (length && !type) return'],
    },
  ),
  ...mistakes(
    { suite: FILES, file: `${FOLDER}/sources/source-files.ts` },
    {
      "postgres: a file goes over a user's table": ["kind !== 'view' && comment?.startsWith(MADE_BY) === true", "kind !== 'view'"],
      'postgres: a file is loaded at every start': [
        'return (await reader.hash(file)) === hash',
        'return (await reader.hash(file)) === null',
      ],
      'postgres: a changed file is not loaded': ['if (settings !== facts.settings || Number(size) !== facts.size) return false', ''],
      'postgres: rows that came by request go with the file': [
        'SELECT row FROM fabra.source_rows WHERE source = $1',
        'SELECT row FROM fabra.source_rows WHERE source = $1 AND false',
      ],
    },
  ),
]
