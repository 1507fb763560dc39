/** Statements that are asked again after rows have come that nothing before was like. */
import { expect, test } from 'bun:test'
import { openComputeBench } from '../support/compute-bench.ts'

/** Each took what it knew of the first rows for true of the later ones, where its plan was kept. */
const STATEMENTS = [
  'SELECT k, COUNT(*) FROM $t GROUP BY k ORDER BY k',
  'SELECT s, COUNT(*) FROM $t GROUP BY s ORDER BY s',
  'SELECT k, s, a FROM $t ORDER BY a DESC, k, s',
  'SELECT COUNT(*) FROM $t WHERE a < 100',
  'SELECT COUNT(*), MAX(a) FROM $t',
  'SELECT t.k, u.a FROM $t AS t ASOF JOIN $t AS u ON t.s = u.s AND t.a >= u.a ORDER BY t.k, u.a',
]

test('a statement sees rows that came after it was first asked as one that is asked for the first time', async () => {
  const { store, execute } = await openComputeBench()
  const soon = () => ({ signal: new AbortController().signal, timeoutMs: 30_000 })
  for (const [n, text] of STATEMENTS.entries()) {
    const sql = text.replaceAll('$t', `t${n}`)
    await execute(
      `CREATE TABLE t${n} (k BIGINT, s VARCHAR, a BIGINT); INSERT INTO t${n} SELECT i % 5, 's' || i, i % 10 FROM range(30) r(i)`,
    )
    for (let i = 0; i < 3; i++) await store.query(sql, [], soon())
    await execute(
      `INSERT INTO t${n} SELECT 1000000 + i, 'a text that is longer than those before ' || i, 123456789012 + i FROM range(3) r(i)`,
    )
    const [again, first] = [await store.query(sql, [], soon()), await store.query(`${sql} --`, [], soon())]
    expect([text, again.rows]).toEqual([text, first.rows])
  }
  await store.close()
})
