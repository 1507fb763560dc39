/** Shapes whose answer for a key without rows is easily lost when many rows are computed at once. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Strategy } from '../../src/compute/sql/strategies.ts'
import { type BenchRow, type ComputeBench, type Defined, defined, hasItsOwn, openComputeBench } from '../support/compute-bench.ts'

const U = 'user_id = $user_id'
const shapes: readonly string[] = [
  `SELECT COUNT(*) FROM (SELECT COUNT(*) c FROM t WHERE ${U}) a FULL JOIN (SELECT COUNT(*) c FROM s WHERE ${U}) b ON a.c = b.c`,
  `SELECT MAX(x) FROM (SELECT COUNT(*) x FROM t WHERE ${U} GROUP BY GROUPING SETS ((cat), ()))`,
  `SELECT COUNT(*) FROM (SELECT cat, COUNT(*) FROM t WHERE ${U} GROUP BY CUBE(cat, n))`,
  `SELECT SUM(c) FROM (SELECT COUNT(*) c FROM t WHERE ${U} UNION ALL SELECT COUNT(*) FROM s WHERE ${U} UNION ALL SELECT 1)`,
  `SELECT COUNT(*) FROM (SELECT COUNT(*) c FROM t WHERE ${U} EXCEPT SELECT 0)`,
  `SELECT COUNT(*) FROM (SELECT COUNT(*) c FROM t WHERE ${U} INTERSECT SELECT 0)`,
  `SELECT c FROM (SELECT COUNT(*) c FROM t WHERE ${U}) LEFT JOIN (SELECT v FROM s WHERE ${U} AND v > 1) ON TRUE`,
  `SELECT COALESCE(v, -7) FROM (SELECT 1) LEFT JOIN (SELECT v FROM s WHERE ${U} ORDER BY ts DESC LIMIT 1) ON TRUE`,
  `SELECT COUNT(v) FROM (SELECT v FROM s WHERE ${U} ORDER BY ts DESC LIMIT 1)`,
  `SELECT SUM(n) FROM (SELECT n FROM t WHERE ${U} ORDER BY n DESC LIMIT 2 OFFSET 1)`,
  `SELECT (SELECT SUM(amount) FROM t WHERE ${U}) IS NULL`,
  `SELECT (SELECT v FROM s WHERE ${U} ORDER BY ts LIMIT 1) + (SELECT COUNT(*) FROM t WHERE ${U} AND cat='x')`,
  `SELECT COUNT(*) FROM t x WHERE x.${U} AND x.n > (SELECT COALESCE(AVG(y.n),0) FROM t y WHERE y.cat = x.cat)`,
  `SELECT COUNT(*) FROM t x WHERE x.${U} AND x.n = (SELECT COUNT(*) FROM s y WHERE y.user_id = x.user_id AND y.v > 100)`,
  `SELECT COUNT(*) FROM t x, LATERAL (SELECT COUNT(*) c FROM s WHERE s.user_id = x.user_id AND s.ts < x.created_at) z WHERE x.${U} AND z.c = 0`,
  `SELECT LIST(z.c ORDER BY x.n) FROM t x LEFT JOIN LATERAL (SELECT v AS c FROM s WHERE s.user_id = x.user_id AND s.ts < x.created_at ORDER BY ts DESC LIMIT 1) z ON TRUE WHERE x.${U}`,
  `SELECT DISTINCT cat FROM t WHERE ${U} AND cat IS NOT NULL`,
  `SELECT COUNT(DISTINCT (cat, n % 2)) FROM t WHERE ${U}`,
  `SELECT MAX(rn) FROM (SELECT row_number() OVER (PARTITION BY cat ORDER BY n) rn FROM t WHERE ${U})`,
  `SELECT COUNT(*) OVER () FROM t WHERE ${U} LIMIT 1`,
  `SELECT FIRST(n ORDER BY n DESC) FROM t WHERE ${U}`,
  `SELECT COUNT(*) FROM t WHERE ${U} HAVING FALSE`,
  `SELECT COUNT(*) FROM t WHERE ${U} AND FALSE`,
  `SELECT 1 WHERE EXISTS (SELECT COUNT(*) FROM s WHERE ${U})`,
  `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM s WHERE ${U} HAVING COUNT(*) > 0)`,
  `SELECT $user_id IN (SELECT user_id FROM s)`,
  `SELECT $user_id NOT IN (SELECT user_id FROM s WHERE v IS NULL)`,
  `SELECT $user_id = ANY (SELECT user_id FROM t)`,
  `WITH RECURSIVE r AS (SELECT MIN(n) AS n FROM t WHERE ${U} UNION ALL SELECT (SELECT MIN(t.n) FROM t WHERE t.${U} AND t.n > r.n) FROM r WHERE r.n IS NOT NULL) SELECT COUNT(*) FROM r`,
  `SELECT COUNT(*) FROM generate_series(1, (SELECT COUNT(*) FROM t WHERE ${U}))`,
  `SELECT SUM(u) FROM (SELECT UNNEST(LIST(n)) u FROM t WHERE ${U})`,
  `SELECT COUNT(*) FROM (SELECT UNNEST([1,2,3]) u WHERE 2 > (SELECT COUNT(*) FROM s WHERE ${U}))`,
  `SELECT COUNT(*) FROM t ASOF JOIN s ON t.user_id = s.user_id AND t.created_at >= s.ts WHERE t.${U}`,
  `SELECT SUM(v) FROM t ASOF LEFT JOIN s ON t.user_id = s.user_id AND t.created_at >= s.ts WHERE t.${U}`,
  `SELECT x FROM (PIVOT (SELECT cat, n, user_id FROM t WHERE ${U}) ON cat IN ('x' AS x,'y' AS y) USING SUM(n) GROUP BY user_id)`,
  `SELECT MIN(n) FILTER (cat='x') - MIN(n) FILTER (cat='y') FROM t WHERE ${U}`,
  `SELECT histogram(cat) FROM t WHERE ${U}`,
  `SELECT MAP_FROM_ENTRIES(LIST((cat, n) ORDER BY n) FILTER (cat IS NOT NULL AND n < 4)) FROM t WHERE ${U}`,
  `SELECT STRUCT_PACK(a := COUNT(*), b := MAX(n)) FROM t WHERE ${U}`,
  `SELECT c FROM (SELECT COUNT(*) c, 1 AS k FROM t WHERE ${U}) JOIN (SELECT 1 AS k) USING (k)`,
  `SELECT c FROM (SELECT 1 AS k) LEFT JOIN (SELECT COUNT(*) c, 1 AS k FROM t WHERE ${U}) USING (k)`,
  `SELECT c FROM (SELECT COUNT(*) c, 2 AS k FROM t WHERE ${U}) RIGHT JOIN (SELECT 1 AS k) USING (k)`,
  `SELECT COUNT(*) FROM (SELECT SUM(n) s FROM t WHERE ${U}) q WHERE q.s IS NULL`,
  `SELECT COALESCE((SELECT n FROM t WHERE ${U} AND n > 17), -1)`,
  `SELECT CASE WHEN COUNT(*) = 0 THEN 'none' ELSE 'some' END FROM t WHERE ${U}`,
  `SELECT SUM(COUNT(*)) OVER () FROM t WHERE ${U}`,
  `SELECT COUNT(*) FROM t WHERE ${U} ORDER BY COUNT(*) LIMIT 1 OFFSET 0`,
  `SELECT COUNT(*) FROM t WHERE ${U} LIMIT 0`,
  `(SELECT COUNT(*) FROM t WHERE ${U}) UNION (SELECT COUNT(*) FROM t WHERE ${U})`,
  `SELECT ANY_VALUE(c) FROM (SELECT COUNT(*) c FROM t WHERE ${U} GROUP BY ALL)`,
  `SELECT COUNT(*) FROM (SELECT user_id FROM t WHERE ${U} GROUP BY user_id HAVING COUNT(*) > 2)`,
  `SELECT MAX(c) FROM (SELECT cat, COUNT(*) c FROM t WHERE ${U} GROUP BY cat UNION ALL SELECT 'z', 0)`,
  `SELECT LIST(DISTINCT cat ORDER BY cat) FROM t WHERE ${U}`,
  `SELECT BOOL_AND(n > 0) FROM t WHERE ${U}`,
  `SELECT PRODUCT(n) FROM t WHERE ${U} AND n < 4`,
  `SELECT COUNT(*) + SUM(COALESCE(amount,0)) FROM t WHERE ${U}`,
  `SELECT ENTROPY(cat) FROM t WHERE ${U}`,
  `SELECT APPROX_COUNT_DISTINCT(n) FROM t WHERE ${U}`,
  `SELECT BIT_XOR(n) FROM t WHERE ${U}`,
  `SELECT COUNT_IF(n>3) FROM t WHERE ${U}`,
  `SELECT MEDIAN(n) FROM t WHERE ${U}`,
  `SELECT REGR_COUNT(n, amount) FROM t WHERE ${U}`,
  `SELECT FSUM(n) FROM t WHERE ${U}`,
  `SELECT list_sum(LIST(n)) FROM t WHERE ${U}`,
  `SELECT len(LIST(n)) FROM t WHERE ${U}`,
  `SELECT string_agg(cat, ',' ORDER BY n) FROM t WHERE ${U}`,
  `SELECT arg_max(cat, n, 2) FROM t WHERE ${U}`,
  `SELECT max(n, 2) FROM t WHERE ${U}`,
  `SELECT COUNT(*) FROM t WHERE ${U} GROUP BY ROLLUP (user_id) HAVING GROUPING(user_id) = 1`,
  `SELECT SUM(amount) FROM t WHERE ${U} GROUP BY CUBE (user_id) HAVING GROUPING(user_id) = 1`,
  `SELECT COUNT(*) FROM t WHERE ${U} GROUP BY ()`,
  `SELECT COUNT(*) FROM t WHERE ${U} GROUP BY GROUPING SETS (())`,
  `SELECT x FROM (SELECT COUNT(*) AS x FROM t WHERE ${U}) WHERE x = 0`,
  `SELECT MAX(e) FROM (SELECT ENTROPY(cat) AS e FROM t WHERE ${U} UNION ALL SELECT NULL)`,
]

let bench: ComputeBench
/** All as features of one file. */
let all: Defined
beforeAll(async () => {
  bench = await openComputeBench(1)
  await bench.execute(`
    CREATE TABLE t (user_id VARCHAR, amount DOUBLE, cat VARCHAR, n BIGINT, created_at TIMESTAMPTZ);
    INSERT INTO t SELECT ['a', 'b', 'c'][1 + i % 3], CASE WHEN i % 5 = 0 THEN NULL ELSE i END, ['x', 'y', NULL][1 + i % 3], i, make_timestamptz(i) FROM range(1, 20) r(i);
    CREATE TABLE s (user_id VARCHAR, v INTEGER, ts TIMESTAMPTZ);
    INSERT INTO s VALUES ('a', 1, make_timestamptz(3)), ('a', 2, make_timestamptz(9)), ('b', NULL, make_timestamptz(4))`)
  all = await bench.define({
    sources: { t: { timestamp: 'created_at' }, s: { timestamp: 'ts' } },
    features: Object.fromEntries(shapes.map((sql, i) => [`f${i}`, sql])),
  })
}, 180_000)
afterAll(() => bench.store.close())

/** Keys with rows, with one row of nulls, with none; times before, among and after the rows. */
const questions = ['a', 'b', 'nobody', 'a'].flatMap((key) => [5, 1, 15, 100].map((t): BenchRow => [key, t]))

test.each(shapes)('a set answers as each row alone: %s', async (sql) => {
  const { definitions, registry } = all
  const id = `f${shapes.indexOf(sql)}`
  expect(definitions.problems.filter(({ subject }) => subject === `feature "${id}"`)).toEqual([])
  const answers = (strategy: Strategy) =>
    defined(registry, definitions, createSqlExecutor({ sourceEngine: bench.store, definitions, strategy })).ask(id, questions)
  const alone = await answers('rows')
  expect(alone.filter((answer) => /^[a-z_]+$/.test(answer) && answer !== 'missing' && answer !== 'not_one_row')).toEqual([])
  for (const strategy of ['set', 'joined', 'sorted'] as const)
    if (hasItsOwn(strategy, definitions.get(id))) expect(await answers(strategy)).toEqual(alone)
})
