// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const REACH = 'test/compute/reach.test.ts'
const ROWS = 'test/store/old-rows.test.ts'
const BUCKET = 'test/store/bucket-archive.test.ts'

/** Rows that leave, and the archive. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: REACH, file: 'src/compute/sql/reach/reach.ts' },
    { 'a source that is read twice is bounded by the nearer': ['Math.max(before ?? 0, reach)', 'Math.min(before ?? reach, reach)'] },
  ),
  ...mistakes(
    { suite: REACH, file: 'src/compute/sql/reach/span.ts' },
    { 'a month has thirty days': ['monthsBefore(months)) * DAY + micros', '30 * months) * DAY + micros'] },
  ),
  ...mistakes(
    { suite: REACH, file: 'src/compute/sql/reach/bound.ts' },
    { 'a bound on another table counts': ['if (second === undefined) return isAlone &&', 'if (second === undefined) return'] },
  ),
  ...mistakes(
    { suite: ROWS, file: 'src/app/archive/archive.ts' },
    {
      'rows that did not leave are archived': ['found.filter(({ name }) => written.has(name))', 'found'],
      'what is archived is not put together': ['if (left.length === 0) return', 'if (left.length >= 0) return'],
    },
  ),
  ...mistakes(
    { suite: BUCKET, file: 'src/app/archive/bucket-archive.ts' },
    {
      'rows in a bucket are taken for those of transactions that did not end': ['part.ageMs > IN_DOUBT_MS', 'part.ageMs > -IN_DOUBT_MS'],
      'a file in a bucket has the parts that were seen alone': [
        'for (const name of [...names].sort())',
        'for (const name of [...names].sort().slice(1))',
      ],
      'the parts of a file in a bucket stay': [
        'for (const name of names) await bucket.remove',
        'for (const name of []) await bucket.remove',
      ],
    },
  ),
  ...mistakes(
    { suite: ROWS, file: 'src/store/duckdb/sources/rows-removal.ts' },
    { 'rows leave whose id is there again': ['HAVING count(*) > 1', 'HAVING count(*) > 9'] },
  ),
]
