/** Statements over the catalogue, for users' SQL. */

/**
 * Tables and views of users, each with its columns as JSON `[name, type]` and, for tables, the columns that an index of all rows begins with. Not Fabra's own, not the server's, not temporary
 * ones.
 */
export const LIST_TABLES = `
SELECT n.nspname, c.relname, c.relkind IN ('v', 'f') AS is_view, pg_catalog.pg_table_is_visible(c.oid) AS is_on_path,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, ${typeName('a.atttypid', 'a.atttypmod')}) ORDER BY a.attnum)
   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  CASE WHEN c.relkind IN ('r', 'p', 'm') THEN (
    SELECT COALESCE(pg_catalog.json_agg(DISTINCT a.attname), '[]')
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = ic.relam
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND m.amname IN ('btree', 'hash')
  ) END AS indexed
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'fabra')
  AND n.nspname NOT LIKE 'pg\\_%' AND c.relname NOT LIKE '\\_\\_fabra%'
ORDER BY n.nspname, c.relname`

/**
 * Functions and operators of these names ($1, in lower case). What an extension brought counts as the server's own; of the server's own
 * operators there is nothing to tell.
 */
export const FIND_FUNCTIONS = `
SELECT pg_catalog.lower(p.proname) AS name, p.prokind, p.proretset, p.provolatile, ${isBuiltIn('p.oid', 'pg_proc')} AS is_built_in
FROM pg_catalog.pg_proc p
WHERE pg_catalog.lower(p.proname) = ANY ($1::text[])
UNION ALL
SELECT o.oprname, 'f', false, 'v', false
FROM pg_catalog.pg_operator o
WHERE o.oprname = ANY ($1::text[]) AND NOT ${isBuiltIn('o.oid', 'pg_operator')}`

/** Types by their OIDs ($1). `written` can stand in a CAST; `fields` of a composite type is JSON `[name, oid]`. */
export const FIND_TYPES = `
SELECT t.oid, pg_catalog.format_type(t.oid, -1) AS written, t.typname, t.typtype, t.typbasetype, t.typdelim,
  CASE WHEN t.typlen = -1 AND t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc THEN t.typelem ELSE 0 END AS item,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.atttypid::bigint) ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped) AS fields
FROM pg_catalog.pg_type t
WHERE t.oid = ANY ($1::oid[])`

/** Whether the table ($1, quoted) may be read, and the columns of each index that holds all of its rows; a place of an expression is empty. */
export const FIND_INDEXES = `
SELECT pg_catalog.has_table_privilege($1::text, 'SELECT') AS may_read,
  (SELECT pg_catalog.json_agg((SELECT pg_catalog.json_agg(COALESCE(a.attname, '') ORDER BY k.place)
     FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
     LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
     WHERE k.place <= i.indnkeyatts))
   FROM pg_catalog.pg_index i
   WHERE i.indrelid = $1::text::pg_catalog.regclass AND i.indisvalid AND i.indpred IS NULL) AS indexes`

/** Objects made after the server was set up have higher numbers. */
function isBuiltIn(oid: string, catalogue: string): string {
  return (
    `(${oid} < 16384 OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend d ` +
    `WHERE d.classid = 'pg_catalog.${catalogue}'::pg_catalog.regclass AND d.objid = ${oid} AND d.deptype = 'e'))`
  )
}

/** As \`TableColumn.type\`: a domain is what it is made of, an enum just that, and no schema before the name. */
function typeName(oid: string, modifier: string): string {
  const base = `CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) ELSE pg_catalog.format_type(${oid}, ${modifier}) END`
  return `CASE WHEN t.typtype = 'e' THEN 'ENUM' ELSE pg_catalog.upper(pg_catalog.regexp_replace(${base}, '^("[^"]*"|[[:alnum:]_]+)\\.', '')) END`
}
