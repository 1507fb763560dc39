// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const COPIES = 'test/training/postgres-copies.test.ts'

/** Features of PostgreSQL over copies of their rows. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: COPIES, file: 'src/compute/sql/portable/expressions.ts' },
    {
      'NULL is not NOT TRUE': ['IS_NOT_TRUE: (arg) => `(NOT COALESCE(${arg}, FALSE))`', 'IS_NOT_TRUE: (arg) => `(NOT ${arg})`'],
      'a remainder is a quotient': ["operator === '/' ? '//' : '%'", "'//'"],
      'NULLIF gives the other one': ['THEN NULL ELSE ${left.sql} END', 'THEN NULL ELSE ${right.sql} END'],
    },
  ),
  ...mistakes(
    { suite: COPIES, file: 'src/compute/sql/portable/aggregates.ts' },
    {
      'FILTER is left out': ["node['agg_filter'] ? ` FILTER", "node['never'] ? ` FILTER"],
      'DISTINCT is left out': ["isDistinct ? 'DISTINCT ' : ''", "isDistinct ? '' : ''"],
    },
  ),
  ...mistakes(
    { suite: COPIES, file: 'src/compute/sql/portable/tables.ts' },
    {
      'ON of a LEFT JOIN holds of the left side': ['only: fact.only === null ? own : fact.only.intersection(own)', 'only: null'],
      'repeats are copied': ['const rows = rowsOfAllTimes({ source,', 'const rows = rowsOfAllTimes({ source: { ...source, id: null },'],
    },
  ),
  ...mistakes(
    { suite: COPIES, file: 'src/compute/sql/portable/portable.ts' },
    { 'NULL is last, as DuckDB has it': ["(nulls === 'SORTBY_NULLS_DEFAULT' && isDown)", '(nulls === undefined && isDown)'] },
  ),
  ...mistakes(
    { suite: COPIES, file: 'src/store/postgres/copied-rows.ts' },
    { 'rows of the shortest window are copied': ['>= LEAST(${from', '>= GREATEST(${from'] },
  ),
  ...mistakes(
    { suite: COPIES, file: 'src/store/duckdb/training/copied-sources.ts' },
    {
      'an empty text is NULL': ['allow_quoted_nulls = false', 'allow_quoted_nulls = true'],
      'an end of a line stays written': ["'\\\\n', chr(10)", "'\\\\n', '\\\\n'"],
    },
  ),
]
