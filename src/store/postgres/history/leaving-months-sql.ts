/** Statements that exchange a month of history for a table of those of its rows that stay. Rules are $1 (features), $2 (times) and $3 (origins). */
import { LEAVING_COLUMNS, type RemovalRule } from '../../ports/history-removal.ts'
import type { Parameter } from '../connection/postgres.ts'
import { isOvertaken, type RemovalPart } from './history-removal-sql.ts'
import { COLUMNS, type HistoryLayout, timeOf, unpacked } from './history-rows.ts'

export interface Month {
  readonly part: RemovalPart
  /** Of the partition, in the schema `fabra`. */
  readonly name: string
}

/** Tables of the work on a month. */
export function tablesOf({ name }: Pick<Month, 'name'>) {
  return {
    month: `fabra.${name}`,
    next: `fabra.${name}_next`,
    out: `fabra.${name}_out`,
    stay: `fabra.${name}_stay`,
    late: `fabra.${name}_late`,
  }
}

/** Which months are worked on. Made with the first, and not by a step of the schema. */
export const MAKE_BOOK = `
CREATE TABLE IF NOT EXISTS fabra.history_leaving (
  month text COLLATE "C" PRIMARY KEY,
  -- Of the process that works on it.
  token text NOT NULL,
  -- It is no month of history any more: what leaves is still to be given away, from this page on.
  is_out boolean NOT NULL,
  page bigint NOT NULL
)`

export const MONTHS = `
SELECT c.relname, pg_relation_size(c.oid)
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1) AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
ORDER BY 1`

interface Shape {
  readonly columns: readonly string[]
  /** What a rule counts for. */
  readonly ruled: string
  readonly rules: string
  readonly group: readonly string[]
  readonly feature: string
  readonly fingerprint: string
  readonly available: string
  readonly created: string
  readonly seq: string
  readonly origin: string
}

const GIVEN = 'unnest($1::text[], $2::bigint[], $3::text[]) AS g(feature, us, origins)'
const RULED = `${timeOf('g.us')} AS before, string_to_array(g.origins, ',') AS origins FROM ${GIVEN}`

const SHAPES: Readonly<Record<RemovalPart, Shape>> = {
  packed: {
    columns: ['event_timestamp', 'version', 'available_lag', 'created_lag', 'mark', 'entity_key', 'value', 'far'],
    ruled: 'r.version = p.version',
    rules: `SELECT v.id AS version, v.feature, v.fingerprint, ${RULED} JOIN fabra.feature_versions AS v ON v.feature = g.feature`,
    group: ['version', 'entity_key'],
    feature: 'r.feature',
    fingerprint: 'r.fingerprint',
    ...unpacked('p'),
  },
  plain: {
    columns: COLUMNS.split(', '),
    ruled: 'r.feature = p.feature',
    rules: `SELECT g.feature, ${RULED}`,
    group: ['feature', 'fingerprint', 'entity_key'],
    feature: 'p.feature',
    fingerprint: 'p.fingerprint',
    available: 'p.available_at',
    created: 'p.created_at',
    seq: 'p.seq',
    origin: 'p.origin',
  },
}

export function asRules(rules: readonly RemovalRule[]): Parameter[] {
  return [rules.map(({ feature }) => feature), rules.map(({ before }) => before), rules.map(({ origins }) => origins.join(','))]
}

/** Whether a row `p` stays, by its rule `r`. @param known Another row of its month tells already that it does not. */
function stays({ part, layout, known }: { part: RemovalPart; layout: HistoryLayout; known: string }): string {
  const { feature, fingerprint, available, seq, origin } = SHAPES[part]
  return `CASE
    WHEN r.before IS NULL OR NOT ${origin} = ANY (r.origins) THEN TRUE
    WHEN ${known} THEN FALSE
    ELSE (SELECT NOT ${isOvertaken(layout, 'h.before')} FROM (SELECT ${feature} AS feature, ${fingerprint} AS fingerprint, p.entity_key,
      p.event_timestamp, ${available} AS available_at, ${seq} AS seq, ${origin} AS origin, r.before) AS h)
  END`
}

/** Of some rows of a month ($4 % of its pages) how many there are, and how many leave. */
export function sample({ part, name }: Month, layout: HistoryLayout): string {
  const { rules, ruled } = SHAPES[part]
  return `
WITH r AS MATERIALIZED (${rules}),
p AS MATERIALIZED (SELECT * FROM fabra.${name} TABLESAMPLE SYSTEM ($4::real) REPEATABLE (1) LIMIT 2000)
SELECT count(*), count(*) FILTER (WHERE NOT ${stays({ part, layout, known: 'FALSE' })})
FROM p LEFT JOIN r ON ${ruled}`
}

/**
 * Those that stay, into the next table. Most rows are overtaken by a later event of their own month, which is found for all at once; the others are
 * looked up, each by the index. @param notes Where they are is written down, too.
 */
export function copy(month: Month, layout: HistoryLayout, notes: boolean): string {
  const { part } = month
  const { columns, rules, ruled, group, available, created, origin } = SHAPES[part]
  const tables = tablesOf(month)
  const of = (table: string) => group.map((one) => `${table}.${one}`).join(', ')
  const isKnown = `${available} <= r.before AND ${created} <= r.before`
  return `
WITH r AS MATERIALIZED (${rules}),
tops AS MATERIALIZED (
  SELECT ${of('p')}, max(p.event_timestamp) FILTER (WHERE ${isKnown}) AS top,
    max(p.event_timestamp) FILTER (WHERE ${isKnown} AND ${origin} <> 'backfill') AS served_top
  FROM ${tables.month} AS p JOIN r ON ${ruled}
  GROUP BY ${of('p')}
),
staying AS (
  SELECT p.ctid AS place, ${columns.map((column) => `p.${column}`).join(', ')}
  FROM ${tables.month} AS p
  LEFT JOIN r ON ${ruled}
  LEFT JOIN tops AS t ON (${of('t')}) = (${of('p')})
  WHERE ${stays({ part, layout, known: `p.event_timestamp < t.served_top OR (${origin} = 'backfill' AND p.event_timestamp < t.top)` })}
)${notes ? `,\nnoted AS (INSERT INTO ${tables.stay} (place) SELECT place FROM staying)` : ''}
INSERT INTO ${tables.next} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM staying`
}

/** Rows of a table by feature. */
export function counts(part: RemovalPart, table: string): string {
  if (part === 'plain') return `SELECT feature, count(*) FROM ${table} GROUP BY feature`
  return `
SELECT v.feature, sum(n.count)::bigint FROM (SELECT version, count(*) FROM ${table} GROUP BY version) AS n
JOIN fabra.feature_versions AS v ON v.id = n.version GROUP BY v.feature`
}

/** A table like the month, and one of what comes into the month or is deleted from it meanwhile, whoever does that. */
export function prepare(month: Month): string {
  const { columns } = SHAPES[month.part]
  const tables = tablesOf(month)
  const note = (isNew: boolean) =>
    `INSERT INTO ${tables.late} (is_new, ${columns.join(', ')}) VALUES (${isNew}, ${columns.map((one) => `${isNew ? 'NEW' : 'OLD'}.${one}`).join(', ')});`
  const [from, to] = boundsOf(month.name)
  return `
CREATE TABLE ${tables.next} (LIKE ${tables.month} INCLUDING DEFAULTS INCLUDING INDEXES) WITH (autovacuum_enabled = false);
ALTER TABLE ${tables.next} ADD CONSTRAINT of_month CHECK (event_timestamp >= ${from} AND event_timestamp < ${to});
CREATE TABLE ${tables.stay} (place tid PRIMARY KEY);
CREATE TABLE ${tables.late} (n bigint GENERATED ALWAYS AS IDENTITY, is_new boolean NOT NULL, LIKE ${tables.month});
CREATE FUNCTION ${tables.late}() RETURNS trigger LANGUAGE plpgsql AS $late$
BEGIN
  IF TG_OP = 'DELETE' THEN ${note(false)} ELSE ${note(true)} END IF;
  RETURN NULL;
END $late$;
CREATE TRIGGER note_late AFTER INSERT OR DELETE ON ${tables.month} FOR EACH ROW EXECUTE FUNCTION ${tables.late}()`
}

export const HAS_TRIGGER = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = 'note_late')"

/** Undoes the most of `prepare`; waits for writers, and not for readers. */
export function stop(month: Month, hasTrigger: boolean): string {
  const tables = tablesOf(month)
  return `
${hasTrigger ? `ALTER TABLE ${tables.month} DISABLE TRIGGER note_late;` : ''}
DROP TABLE IF EXISTS ${tables.next}, ${tables.stay}, ${tables.late};
ALTER TABLE IF EXISTS ${tables.month} RESET (autovacuum_enabled)`
}

/** Undoes the rest of it. */
export function unprepare(month: Month, hasTrigger: boolean): string {
  const tables = tablesOf(month)
  return `
${hasTrigger ? `DROP TRIGGER note_late ON ${tables.month};` : ''}
DROP FUNCTION IF EXISTS ${tables.late}()`
}

/** What came late goes into the next table, and what was deleted from it goes: of each row the last counts. All of one snapshot. */
export function catchUp(month: Month, notes: boolean): string[] {
  const { part } = month
  const { columns } = SHAPES[part]
  const tables = tablesOf(month)
  const key = part === 'packed' ? ' AND hashtext(p.entity_key) = hashtext(l.entity_key)' : ''
  const isSame =
    columns.map((one) => `p.${one} ${one === 'value' || one === 'far' ? 'IS NOT DISTINCT FROM' : '='} l.${one}`).join(' AND ') + key
  const list = columns.join(', ')
  return [
    `DELETE FROM ${tables.next} AS p USING ${tables.late} AS l WHERE ${isSame}`,
    `INSERT INTO ${tables.next} (${list}) SELECT ${list} FROM (
  SELECT DISTINCT ON (${list}) is_new, ${list} FROM ${tables.late} ORDER BY ${list}, n DESC
) AS last WHERE is_new`,
    ...(notes
      ? [
          `INSERT INTO ${tables.stay} (place) SELECT p.ctid FROM ${tables.month} AS p JOIN ${tables.late} AS l ON ${isSame} WHERE l.is_new ON CONFLICT DO NOTHING`,
        ]
      : []),
    `DELETE FROM ${tables.late}`,
  ]
}

/** @param isEmpty Nothing stays: no table takes the month's place. */
export function exchange(month: Month, parent: string, isEmpty: boolean): string {
  const tables = tablesOf(month)
  const [from, to] = boundsOf(month.name)
  return `
ALTER TABLE ${parent} DETACH PARTITION ${tables.month};
DROP TRIGGER note_late ON ${tables.month};
DROP FUNCTION ${tables.late}();
DROP TABLE ${tables.late};
ALTER TABLE ${tables.month} RENAME TO ${month.name}_out;
${
  isEmpty
    ? `DROP TABLE ${tables.next};`
    : `ALTER TABLE ${tables.next} RENAME TO ${month.name};
ALTER TABLE ${tables.month} RESET (autovacuum_enabled);
ALTER TABLE ${parent} ATTACH PARTITION ${tables.month} FOR VALUES FROM (${from}) TO (${to});
ALTER TABLE ${tables.month} DROP CONSTRAINT of_month;`
}`
}

/** What left, of some pages, but for keys that were forgotten meanwhile: LEAVING_COLUMNS as texts. */
export function leaving(month: Month, from: number, to: number): string {
  const { part } = month
  const { available, created, seq, origin } = SHAPES[part]
  const tables = tablesOf(month)
  const [names, join] = part === 'packed' ? ['v', ' JOIN fabra.feature_versions AS v ON v.id = p.version'] : ['p', '']
  const all = [`${names}.feature`, `${names}.fingerprint`, 'p.entity_key', 'p.value', 'p.event_timestamp', available, created, seq, origin]
  return `
SELECT ${all.map((column, i) => `(${column})::text AS ${LEAVING_COLUMNS[i]?.name}`).join(', ')}
FROM ${tables.out} AS p${join}
WHERE p.ctid >= '(${from},0)'::tid AND p.ctid < '(${to},0)'::tid
  AND NOT EXISTS (SELECT FROM ${tables.stay} AS s WHERE s.place = p.ctid)
  AND NOT EXISTS (SELECT FROM fabra.feature_fences AS f
    WHERE f.feature = ${names}.feature AND f.entity_key = p.entity_key AND f.fenced_at >= p.event_timestamp)`
}

export const TELL_ALL = `
INSERT INTO fabra.history_removed AS r (feature, kept_since) SELECT g.feature, ${timeOf('g.us')} FROM unnest($1::text[], $2::bigint[]) AS g(feature, us)
ON CONFLICT (feature) DO UPDATE SET kept_since = greatest(r.kept_since, excluded.kept_since)`

/** Whether somebody may still look at history as it was before this transaction ($1) ended. */
export const IS_SEEN_BEFORE = `
SELECT EXISTS (
  SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
    AND backend_xmin IS NOT NULL AND age(backend_xmin) >= age($1::text::xid)
)`

export function monthOf(name: string): { readonly startsAt: number; readonly endsAt: number } {
  const [, year, month] = /_(\d{4})_(\d{2})$/.exec(name) ?? []
  return { startsAt: Date.UTC(Number(year), Number(month) - 1) * 1_000, endsAt: Date.UTC(Number(year), Number(month)) * 1_000 }
}

function boundsOf(name: string): [string, string] {
  const { startsAt, endsAt } = monthOf(name)
  const [from, to] = [startsAt, endsAt].map((at) => `'${new Date(at / 1_000).toISOString().slice(0, 10)} 00:00:00+00'`)
  return [String(from), String(to)]
}
