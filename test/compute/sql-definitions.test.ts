import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type ComputeBench, openComputeBench, type WrittenFeature, type WrittenRegistry } from '../support/compute-bench.ts'

let bench: ComputeBench
const sources: WrittenRegistry['sources'] = { transactions: { timestamp: 'created_at' }, notime: {}, fixed: { static: true } }

beforeAll(async () => {
  bench = await openComputeBench()
  await bench.execute(`
    CREATE TABLE transactions (user_id VARCHAR, amount DECIMAL(18, 2), note VARCHAR, created_at TIMESTAMPTZ, span INTERVAL, raw BLOB);
    CREATE TABLE notime (user_id VARCHAR, x INTEGER);
    CREATE TABLE fixed (user_id VARCHAR, x INTEGER);
    CREATE TABLE strangers (user_id VARCHAR, x INTEGER);
    CREATE VIEW spy AS SELECT * FROM transactions;
    CREATE MACRO peek() AS (SELECT COUNT(*) FROM transactions);
    CREATE MACRO peek_all() AS TABLE SELECT * FROM transactions;
    CREATE MACRO double(x) AS x * 2;
    CREATE MACRO fabra.hidden() AS random();
    INSERT INTO transactions VALUES ('a', 1, 'now', '2026-01-01 00:00:00+00', NULL, NULL)`)
})
afterAll(() => bench.store.close())

async function problemsOf(feature: string | WrittenFeature, more: Partial<WrittenRegistry> = {}): Promise<string[]> {
  const { definitions } = await bench.define({ sources, ...more, features: { f: feature } })
  return definitions.problems.map(({ message, hint }) => `${message} ${hint}`)
}

describe('what is refused when definitions are loaded, with its place', () => {
  const cases: [what: string, feature: string | WrittenFeature, problem: RegExp][] = [
    ['a syntax error', 'SELECT COUNT(* FROM transactions', /line 1, column \d+/],
    ['a syntax error below', 'SELECT COUNT(*)\nFROM transactions\nWERE user_id = $user_id', /syntax error.*line 3, column 6/],
    ['no SQL', '', /empty/],
    ['a comment alone', '-- nothing', /empty/],
    ['two statements', 'SELECT 1; SELECT 2', /2 statements.*line 1, column 9/],
    ['a write', 'DELETE FROM transactions', /Only SELECT/],
    ['an unknown table', 'SELECT COUNT(*) FROM transaction', /no table "transaction".*column 22.*Did you mean "transactions"/s],
    ['an unknown column', 'SELECT COUNT(*)\nFROM transactions WHERE user = $user_id AND usr_id = 1', /usr_id.*line 2/],
    ['a key column that the source lacks', 'SELECT COUNT(*) FROM fixed WHERE merchant_id = $user_id', /merchant_id/],
    ['an unknown parameter', 'SELECT COUNT(*) FROM transactions WHERE user_id = $usr_id', /\$usr_id.*column 51.*Did you mean "\$user_id"/s],
    ['a numbered parameter', 'SELECT COUNT(*) FROM transactions WHERE user_id = $1', /\$1.*Write \$user_id/s],
    ['a question mark', 'SELECT COUNT(*) FROM transactions WHERE user_id = ?', /\?.*Write \$user_id/s],
    ['random()', 'SELECT random()', /random\(\).*same answer/],
    ['uuid()', 'SELECT gen_random_uuid()::VARCHAR', /gen_random_uuid/],
    ['a sleep', 'SELECT sleep_ms(10)', /sleep_ms/],
    ['a setting', "SELECT current_setting('TimeZone')", /current_setting/],
    ['the environment', "SELECT getenv('HOME')", /getenv/],
    ['ago()', 'SELECT COUNT(*) FROM transactions WHERE created_at > ago(INTERVAL 1 HOUR)', /ago\(\).*NOW\(\) - INTERVAL/s],
    ['a sample', 'SELECT COUNT(*) FROM transactions TABLESAMPLE 10%', /TABLESAMPLE/],
    ['a sample at the end', 'SELECT COUNT(*) FROM transactions USING SAMPLE 5', /TABLESAMPLE/],
    ['a description', 'SELECT COUNT(*) FROM (DESCRIBE transactions)', /DESCRIBE/],
    ['a summary', 'SELECT COUNT(*) FROM (SUMMARIZE transactions)', /SUMMARIZE/],
    ['a macro', 'SELECT peek()', /peek\(\) is a macro/],
    ['a harmless macro', 'SELECT double(2)', /double\(\) is a macro/],
    ['a function among Fabra’s own tables', 'SELECT fabra.hidden()', /fabra|hidden/],
    ['a table macro', 'SELECT COUNT(*) FROM peek_all()', /peek_all\(\) is a macro/],
    ['query_table', "SELECT COUNT(*) FROM query_table('transactions')", /query_table\(\) reads/],
    ['query', "SELECT COUNT(*) FROM query('SELECT * FROM transactions')", /query\(\) reads/],
    ['read_csv', "SELECT COUNT(*) FROM read_csv('/etc/passwd')", /read_csv\(\) reads/],
    ['a file as a table', "SELECT COUNT(*) FROM '/etc/passwd'", /cannot read the file "\/etc\/passwd"/],
    ['a catalogue function', 'SELECT COUNT(*) FROM duckdb_tables()', /duckdb_tables\(\) reads/],
    ['the information schema', 'SELECT COUNT(*) FROM information_schema.tables', /no table "information_schema.tables"/],
    ["Fabra's own tables", 'SELECT COUNT(*) FROM fabra.feature_history', /no table "fabra.feature_history"/],
    [
      "'now' as a timestamp",
      "SELECT COUNT(*) FROM transactions WHERE created_at > 'now'::timestamp",
      /'now' as a time.*column 54.*NOW\(\)/s,
    ],
    ["' Today ' as a date", "SELECT DATE ' Today '", /' Today ' as a time/],
    ["'tomorrow' through a text", "SELECT CAST(CAST('tomorrow' AS VARCHAR) AS TIMESTAMPTZ)", /'tomorrow' as a time/],
    ["'now' compared to a time", "SELECT COUNT(*) FROM transactions WHERE created_at > 'now'", /compare/],
    ["'now' between times", "SELECT COUNT(*) FROM transactions WHERE 'now' BETWEEN created_at AND created_at", /BETWEEN|compare|cast/i],
    ['the present in quotes', 'SELECT "current_date"', /in quotes/],
    ["a name of Fabra's own", 'SELECT __fabra_as_of', /__fabra_as_of/],
    ["a quoted name of Fabra's own", 'SELECT "__FABRA_k0" FROM transactions', /__FABRA_k0/],
    ['rowid', 'SELECT MAX(rowid) FROM transactions', /cannot be held back in time.*rowid/],
    ['two columns for one value', 'SELECT 1 AS a, 2 AS b', /2 columns \(a, b\).*columns: \{ a: "int", b: "int" \}/s],
    ['a missing column', { sql: 'SELECT 1 AS totl', columns: { total: 'int' } }, /no column "total".*Did you mean "totl"/s],
    ['a column too many', { sql: 'SELECT 1 AS a, 2 AS b', columns: { a: 'int' } }, /"b" that is not declared/],
    ['a column twice', { sql: 'SELECT 1 AS a, 2 AS a', columns: { a: 'int' } }, /twice/],
    ['a text declared int', { sql: 'SELECT note FROM transactions LIMIT 1', type: 'int' }, /VARCHAR, not int.*CAST/s],
    ['an average declared int', { sql: 'SELECT AVG(amount) FROM transactions', type: 'int' }, /DOUBLE, not int/],
    ['a number declared text', { sql: 'SELECT 1', type: 'string' }, /INTEGER, not string/],
    ['a date declared timestamp', { sql: 'SELECT CURRENT_DATE', type: 'timestamp' }, /DATE, not timestamp/],
    ['an interval', 'SELECT MAX(span) FROM transactions', /INTERVAL, which JSON has no form for/],
    ['a blob', 'SELECT MAX(raw) FROM transactions', /BLOB/],
  ]
  test.each(cases)('%s', async (_what, feature, problem) => {
    expect((await problemsOf(feature)).join('\n')).toMatch(problem)
  })

  test('all problems come at once', async () => {
    const { definitions } = await bench.define({ sources, features: { a: 'SELECT random() FROM nowhere', b: 'SELECT $x', c: 'SELECT 1' } })
    expect(definitions.problems.map(({ subject }) => subject)).toEqual(['feature "a"', 'feature "a"', 'feature "b"'])
    expect(definitions.get('c')?.columns).toMatchObject([{ type: 'int' }])
  })

  test('a source without its table, or without its time column', async () => {
    const wrong = {
      missing: { timestamp: 't' },
      transactions: { timestamp: 'creatd_at' },
      fixed: { timestamp: 'x' },
      strangers: { id: 'nope', static: true },
    }
    const { definitions } = await bench.define({ sources: wrong, features: {} })
    expect(definitions.problems.map(({ subject, message }) => `${subject}: ${message}`)).toEqual([
      'source "missing": There is no table "missing".',
      'source "transactions": it has no column "creatd_at", which is its timestamp.',
      'source "fixed": its timestamp "x" is INTEGER, not a time.',
      'source "strangers": it has no column "nope", which is its id.',
    ])
  })
})

describe('what has no time', () => {
  const timeless: [what: string, sql: string][] = [
    ['a table that no source declares', 'SELECT COUNT(*) FROM strangers WHERE user_id = $user_id'],
    ['a view', 'SELECT COUNT(*) FROM spy WHERE user_id = $user_id'],
    ['a view deep inside', 'SELECT (SELECT COUNT(*) FROM main.spy) + COUNT(*) FROM transactions WHERE user_id = $user_id'],
    ['a source without a timestamp', 'SELECT COUNT(*) FROM notime WHERE user_id = $user_id'],
  ]
  test.each(timeless)('%s is served, named, and refused for the past', async (_what, sql) => {
    const { definitions, ask } = await bench.define({ sources, features: { f: sql } })
    expect(definitions.problems).toEqual([])
    expect(definitions.warnings).toHaveLength(1)
    expect(definitions.get('f')?.past).toBeString()
    expect(await ask('f', [['a', '2026-01-02T00:00:00Z']], { mode: 'present' })).not.toContain('feature_failed')
    expect(await ask('f', [['a', '2026-01-02T00:00:00Z']])).toEqual(['feature_failed'])
  })

  test('a static source is fine', async () => {
    const { definitions, ask } = await bench.define({ sources, features: { f: 'SELECT COUNT(*) FROM fixed WHERE user_id = $user_id' } })
    expect(definitions.warnings).toEqual([])
    expect(await ask('f', [['a', '1990-01-01T00:00:00Z']])).toEqual(['=0'])
  })
})

describe('types', () => {
  test('are inferred where they are not declared', async () => {
    const sqls = {
      i: 'SELECT COUNT(*) FROM transactions',
      f: 'SELECT AVG(amount) FROM transactions',
      d: 'SELECT SUM(amount) FROM transactions',
      s: 'SELECT $user_id',
      b: 'SELECT TRUE',
      t: 'SELECT NOW()',
      l: 'SELECT [1]',
      m: "SELECT {'a': 1}",
      j: "SELECT '{}'::JSON",
      date: 'SELECT CURRENT_DATE',
      h: 'SELECT SUM(x) FROM fixed',
    }
    const { definitions } = await bench.define({ sources, features: sqls })
    expect(definitions.problems).toEqual([])
    const types = [...definitions.registry.features.values()].map(({ name, columns }) => [name, columns[0]?.type])
    expect(Object.fromEntries(types)).toEqual({
      i: 'int',
      f: 'float',
      d: 'float',
      s: 'string',
      b: 'bool',
      t: 'timestamp',
      l: 'list',
      m: 'dict',
      j: 'json',
      date: 'string',
      h: 'int',
    })
  })

  test("a text 'now' that is no time is a text", async () => {
    const { ask } = await bench.define({ sources, features: { f: "SELECT COUNT(*) FROM transactions WHERE note = 'now'" } })
    expect(await ask('f', [['a', '2027-01-01T00:00:00Z']])).toEqual(['=1'])
  })

  test('inputs are typed parameters', async () => {
    const features = {
      f: { sql: 'SELECT $amount > MAX(amount) FROM transactions WHERE user_id = $user_id', inputs: { amount: 'float' } },
    } as const
    const { definitions, ask } = await bench.define({ sources, features })
    expect(definitions.problems).toEqual([])
    expect(
      await ask('f', [
        ['a', '2027-01-01T00:00:00Z', { amount: 1.5 }],
        ['a', '2027-01-01T00:00:00Z', { amount: 0.5 }],
      ]),
    ).toEqual(['=true', '=false'])
  })
})
