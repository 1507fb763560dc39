// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const suite = 'test/compute/latest-row.test.ts'
const KEYED = 'test/compute/keyed-query.test.ts'

/** Mistakes in the plans of latest rows and of look-ups by key: in what is taken for one, and in how they are answered. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite, file: 'src/compute/sql/duckdb/latest-row.ts' },
    {
      'the earliest row is taken for the latest': ["time?.['type'] !== 'DESCENDING' || ", ''],
      'any order is by time': ["|| !isTime(time['expression'], shadow)", ''],
      'a row after the first is taken': ["&& !limit['offset']", ''],
      'any window has one partition': [
        "if (!partitions.every((part) => asObject(part)?.['class'] === 'COLUMN_REF' && isKey(part))) return null",
        '',
      ],
      'upper ends are heeded in another order': [
        "where?.bounds.some(({ side }) => side === 'upper')",
        'where?.bounds.some(({ side }) => side === undefined)',
      ],
      'rows that end are seen': ['source.until !== null || ', ''],
      'a name of the select list hides no column': [' || hidesColumns(root, shadow)', ''],
      'a strict bound is not': [
        'return expression && [{ side: isLeft ? side : turned, expression, inclusive }]',
        'return expression && [{ side: isLeft ? side : turned, expression, inclusive: true }]',
      ],
      'bounds are not turned round': ['isLeft ? side : turned', 'side'],
      'between is strict': [
        "{ side: 'upper', expression: upper, inclusive: true }",
        "{ side: 'upper', expression: upper, inclusive: false }",
      ],
      'nulls are where they are by default': ["'NULLS FIRST': ' NULLS FIRST'", "'NULLS FIRST': ''"],
      'ties are decided the other way': ["DESCENDING: ' DESC' }", "DESCENDING: ' ASC' }"],
    },
  ),
  ...mistakes(
    { suite, file: 'src/compute/sql/duckdb/latest-row-statement.ts' },
    {
      'a row sees its own time': ['__fabra_r.__fabra_until > __fabra_e.__fabra_at', '__fabra_r.__fabra_until >= __fabra_e.__fabra_at'],
      'a window has no beginning': [
        "plan.bounds.some(({ side }) => side === 'lower') ?",
        'plan.bounds.some(({ side }) => side === undefined) ?',
      ],
      'bounds are inclusive': ["inclusive === (side === 'lower') ? micros", 'inclusive !== undefined ? micros'],
      'of the ends of time the last counts': ['`LEAST(${until', '`GREATEST(${until'],
      'a bound that is null is none': ["known.length > 0 ? ` WHERE ${known.join(' AND ')}` : ''", "''"],
      'filters are forgotten': ['const conditions = [...filters, ...times', 'const conditions = [...times'],
      'the delay is forgotten': ['${available === null ? delay : 0}', '0'],
      'rows are seen at their time': ['GREATEST(${at} + ${delay + 1}, ${seen})', '${at} + ${delay + 1}'],
      'a row of an earlier time that is seen later is the latest': [
        'QUALIFY __fabra_at = max(__fabra_at) OVER (PARTITION BY __fabra_k ORDER BY __fabra_seen)',
        'QUALIFY max(__fabra_at) OVER (PARTITION BY __fabra_k) > 0',
      ],
      'rows of one time compete before they are seen': [' AND __fabra_e.__fabra_seen <= __fabra_f.__fabra_seen', ''],
      'ties are decided by storage alone': ['if (ties.length === 0) return stored', 'if (ties.length >= 0) return stored'],
      'the last stored row is the first': ['min(__fabra_id) AS __fabra_id', 'max(__fabra_id) AS __fabra_id'],
    },
  ),
  ...mistakes(
    { suite: KEYED, file: 'src/compute/sql/duckdb/keyed-query.ts' },
    {
      'a source whose rows end is joined': ['source.until === null &&\n    ', ''],
      'repeats of a source are joined': ['source.id === null &&\n    ', ''],
      'a source of another zone is joined as one of UTC': ['/^UTC$/i.test(source.timezone) &&\n    ', ''],
      'between has no upper end': [
        "[compared('COMPARE_GREATERTHANOREQUALTO', condition['lower']), compared(",
        "[compared('COMPARE_GREATERTHANOREQUALTO', condition['lower']), ...[].map(",
      ],
      'conditions on rows are forgotten': [
        "if (sideOf(written) === 'source') filters.push(written)",
        "if (sideOf(written) === 'source') filters.push()",
      ],
      'filters of aggregates are forgotten': ['filter: filter ?? null }', 'filter: null }'],
    },
  ),
  ...mistakes(
    { suite: KEYED, file: 'src/compute/sql/duckdb/keyed-query-statement.ts' },
    {
      'rows that come later are met': ['const visible = visibleWhere(query.shadow, `${ROW}.__fabra_as_of`)', 'const visible = ["TRUE"]'],
      'a call that meets nothing has no group': ['FROM ${ROW} LEFT JOIN ${rows(', 'FROM ${ROW} JOIN ${rows('],
      'a row that is not there counts': ["const there = kept === null ? '__fabra_there' :", "const there = kept === null ? 'TRUE' :"],
      'the first of all calls is the first of each': ['PARTITION BY ${ROW}.__fabra_ord ', 'PARTITION BY ${ROW}.__fabra_as_of '],
      'the first row has another order': ["one + (orders[i]?.way ?? '')", 'one'],
      'distinct is forgotten': ["isDistinct ? 'DISTINCT ' : ''", "''"],
    },
  ),
]
