// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const LEAKS = 'test/compute/leaks.test.ts'
const KEYS = 'test/compute/keys-postgres.test.ts'
const VALUES = 'test/compute/sql-values.test.ts'
const ORACLE = 'test/compute/oracle-postgres.test.ts'

/** Users' SQL on PostgreSQL. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: LEAKS, file: 'src/compute/sql/postgres/tree-reader.ts' },
    {
      'a CTE hides a table from itself': ['let scope = recursive ? new Set', 'let scope = true ? new Set'],
      'FOR UPDATE is taken': ["this.refuse('FOR UPDATE or FOR SHARE', at)", 'undefined'],
      'unknown syntax is taken': ['else if (!KNOWN.has(kind))', 'else if (kind === "never")'],
      'a literal is no time word': ['this.timeWords.push({ text: word, cast: true', 'void ({ text: word, cast: true'],
      'names after a dot are columns': ['if (fields.length > 1) this.noteAttribute(fields.at(-1))', ''],
      'operators are the server’s own': ["if (name !== '') this.operators.add(name)", ''],
      'who asks is part of the answer': ['else this.refuse(`${op.replace', 'else void (`${op.replace'],
      'times come out of JSON by themselves': ["if ('typeName' in node && !('arg' in node)", "if (false && !('arg' in node)"],
    },
  ),
  ...mistakes(
    { suite: LEAKS, file: 'src/compute/sql/postgres/time-casts.ts' },
    {
      'texts put together may say now': ['edits: texts.flatMap(withoutWords)', 'edits: []'],
      'a key may say now': ['const texts: Span[] = spans.filter(({ isParameter }) => isParameter)', 'const texts: Span[] = []'],
    },
  ),
  ...mistakes(
    { suite: LEAKS, file: 'src/store/postgres/sources/source-engine.ts' },
    {
      'a parameter of db may say now': ['    await refuseTimeWords(text, parameters)\n', ''],
      'anything is run': ['      readStatement(tree)\n      return tree', '      return tree'],
    },
  ),
  ...mistakes(
    { suite: LEAKS, file: 'src/store/postgres/sources/source-sql.ts' },
    { 'every function counts as the server’s own': ['`(${oid} < 16384 OR', '`(true OR'] },
  ),
  ...mistakes(
    { suite: KEYS, file: 'src/compute/sql/key-types.ts' },
    {
      'a key has the type it was declared': ["if (store.dialect === 'duckdb') return declared", 'return declared'],
      'a key may be 32 bits': ["return INTEGER.test(inferred) ? 'BIGINT' : inferred", 'return inferred'],
      'a key that is none fails all': [
        "const STRICTER: Readonly<Record<string, KeyType>> = { uuid: 'uuid', BIGINT: 'int' }",
        'const STRICTER: Readonly<Record<string, KeyType>> = {}',
      ],
    },
  ),
  ...mistakes(
    { suite: KEYS, file: 'src/store/postgres/sources/source-engine.ts' },
    { 'the list of rows is unfolded anew for each': ['__fabra_row AS MATERIALIZED', '__fabra_row AS NOT MATERIALIZED'] },
  ),
  ...mistakes(
    { suite: KEYS, file: 'src/compute/sql/rewrite/analysis.ts' },
    {
      'a bare name is any table of the name': [
        "(schema === '' ? table.isOnPath : table.schema === schema)",
        "(schema === '' || table.schema === schema)",
      ],
    },
  ),
  ...mistakes(
    { suite: VALUES, file: 'src/store/postgres/sources/values.ts' },
    {
      'whole numbers are doubles': ['return Number.isSafeInteger(number) ? number : BigInt(text)', 'return number'],
      'single precision is as written': ['Math.fround(Number(text))', 'Number(text)'],
      'microseconds are milliseconds': ["fraction.padEnd(6, '0')", "fraction.padEnd(3, '0')"],
      'the word NULL is nothing': ["!quoted && piece.text === 'NULL'", "piece.text === 'NULL'"],
      'an empty field is nothing': ['      isNull = false\n', "      isNull = next.text === ''\n"],
      'quotes in lists are not escaped': [".replace(/[\"\\\\]/g, '\\\\$&')", ''],
    },
  ),
  ...mistakes(
    { suite: VALUES, file: 'src/compute/sql/rewrite/analysis.ts' },
    { 'a question mark is a parameter': ["token.text === '?' ? { ...token, kind: 'symbol' } : token", 'token'] },
  ),
  ...mistakes(
    { suite: ORACLE, file: 'src/compute/sql/rewrite/visibility.ts' },
    {
      'of repeats any stays': ['...arrival(source, table, of), ...sortable(table, of), ...last', '...last'],
      'what came with the label is seen': [
        "conditions.push(compare(source, table, source.timestamp, '<', limit))",
        "conditions.push(compare(source, table, source.timestamp, '<=', limit))",
      ],
    },
  ),
]
