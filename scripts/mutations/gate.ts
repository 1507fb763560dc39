// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

/** Nothing is bound and nothing runs in this suite: the proof alone can notice. */
const suite = 'test/compute/proof.test.ts'

/** A mistake in each step from a user's text to the text that runs. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite, file: 'src/compute/sql/rewrite/statement.ts' },
    {
      'no table is held back': [
        '...shadows.flatMap((shadow) => shadowEdits(sql, shadow, visiblePart(shadow, row.asOf, options.copyOf))),',
        '',
      ],
      'one table is held back': ['...shadows.flatMap(', '...shadows.slice(0, 1).flatMap('],
      'the present stays': ['...presentEdits(sql, row.asOf),', ''],
      'parameters stay': ['...parameterEdits(sql, row),\n    ...timeWordEdits', '...timeWordEdits'],
      'words of the present stay': ['...timeWordEdits(sql),', ''],
      'a table is put a character further': [
        'start: name.start, end: name.end, text: shadow + alias',
        'start: name.start, end: name.end + 1, text: shadow + alias',
      ],
      'a table is put in front of itself': [
        'start: name.start, end: name.end, text: shadow + alias',
        'start: name.start, end: name.start, text: shadow + alias',
      ],
      'the alias is forgotten': ["ref.alias === '' ? ` AS ${quoteName(ref.name)}` : ''", "''"],
      'TABLE is forgotten': ["isWord(sql.tokens[name.first - 1], 'table') ?", "isWord(sql.tokens[name.first - 1], 'tabel') ?"],
      'age() counts from today': ['if (isAgeFromToday(ref)) edits.push', 'if (ref.at === -1) edits.push'],
      'bare words of the present are skipped': [
        "name && present && sql.tokens[name.first]?.kind === 'word'",
        "name && present && sql.tokens[name.first]?.kind === 'name'",
      ],
      'the frame reads a table': ['FROM __fabra_row JOIN LATERAL (', 'FROM transactions AS __fabra_row JOIN LATERAL ('],
      'a name ends at its first part': ['last += 2\n', 'break\n'],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/rewrite/edits.ts' },
    {
      'the cursor is a character behind': ['cursor = edit.end', 'cursor = edit.end - 1'],
      'the first edit is lost': ['for (const [i, edit] of sorted.entries()) {', 'for (const [i, edit] of sorted.slice(1).entries()) {'],
      'the last edit is lost': ['for (const [i, edit] of sorted.entries()) {', 'for (const [i, edit] of sorted.slice(0, -1).entries()) {'],
      'bytes are taken for characters': ['if (Buffer.byteLength(text) === text.length) return', 'if (text.length > 0) return'],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/rewrite/visibility.ts' },
    {
      'a row is seen at its own time': ["'<', limit", "'<=', limit"],
      'a delay is forgotten': ['const limit = source.delay === 0 ? asOf :', 'const limit = source.delay >= 0 ? asOf :'],
      'available is forgotten': ['if (source.available !== null) conditions', 'if (source.available === null) conditions'],
      'until is forgotten': ['if (source.until !== null) {', 'if (source.until === undefined) {'],
      'a zone is forgotten': ['AT TIME ZONE ${quoteText(source.timezone)}', "AT TIME ZONE 'UTC'"],
      'all conditions are forgotten': ["conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''", "''"],
      'conditions are alternatives': ["${conditions.join(' AND ')}", "${conditions.join(' OR ')}"],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/duckdb/tree-reader.ts' },
    {
      'tables in subqueries are not seen': [
        "if (key === 'cte_map' || typeof child !== 'object') continue",
        "if (key === 'cte_map' || key === 'subquery' || typeof child !== 'object') continue",
      ],
      'a WITH hides the table in itself': ["this.visit(cte?.['value'], scope)\n      scope =", 'scope ='],
      'places are a byte further': [
        'location < NO_LOCATION ? this.characterAt(location)',
        'location < NO_LOCATION ? this.characterAt(location + 1)',
      ],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/postgres/tree-reader.ts' },
    {
      'every name counts as one of a WITH': [
        "if (catalog === '' && schema === '' && hidden.has(name)) return",
        "if (catalog === '' && schema === '') return",
      ],
      'places are a byte further in PostgreSQL': [
        'location >= 0 ? this.characterAt(location)',
        'location >= 0 ? this.characterAt(location + 1)',
      ],
      'texts that become times are not seen': [
        "if (isTime(node['typeName'])) this.noteCastOf",
        "if (node['typeName'] === 0) this.noteCastOf",
      ],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/rewrite/lexer.ts' },
    {
      'comments in comments end the first': ['depth--\n', 'depth = 0\n'],
      'a dollar quote is a parameter': ['if (tag !== undefined) {', 'if (tag === null) {'],
      'backslashes mean nothing': ['if (prefix && /^e/i.test(prefix)) return', 'if (prefix && /^q/i.test(prefix)) return'],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/rewrite/analysis.ts' },
    {
      'a declared table counts as nobody’s': [
        'if (source && table) shadows.push',
        "if (source && table && table.name === '') shadows.push",
      ],
      'a semicolon is not cut': ['const text = withoutSemicolon(plain.text)', 'const text = plain.text'],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/rewrite/parameters.ts' },
    {
      'every parameter is the first key': [
        'parameter: (written) => `__fabra_row.__fabra_k${keyIndex(written, entity)}`',
        'parameter: () => `__fabra_row.__fabra_k0`',
      ],
      'the as-of time is a key': ["asOf: '__fabra_row.__fabra_as_of',", "asOf: '__fabra_row.__fabra_k0',"],
    },
  ),
]
