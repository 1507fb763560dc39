/**
 * What is wrong with a definition is found by one set of rules and said in one set of words, which are those of TypeScript. Of a Python file the
 * same is said as Python writes it.
 */
import type { Problem } from './model.ts'

export function isPython(file: string): boolean {
  return file.endsWith('.py')
}

/** Of a whole file it was said in its own language already, and with what its author wrote. */
const OF_FILE = 'file "'

const NO_OPTION = 'there is no option "'

export function inItsLanguage(problem: Problem): Problem {
  if (problem.subject.startsWith(OF_FILE) || problem.location === null || !isPython(problem.location.file)) return problem
  // Names of options are the same; some are also names of types, which are not.
  const hint = problem.message.startsWith(NO_OPTION) ? problem.hint : inPython(problem.hint)
  return { ...problem, message: inPython(problem.message), hint }
}

/** Whole pieces that read otherwise in Python; the longest first. */
const PIECES: readonly (readonly [written: string, python: string])[] = [
  [
    'Write entity: User, with const User = entity("User", { key: "user_id" }).',
    'Write entity=User, with a class User under @entity, or User = entity("User", key="user_id").',
  ],
  [
    'feature({ entity: User, refresh: "5m", type: "int", sql: "SELECT …" })',
    'feature(entity=User, refresh="5m", type=int, sql="SELECT …")',
  ],
  ['feature() takes a function after the options', '@feature(…) stands above a function'],
  ['Write feature({ … }, async (key, { db }) => …).', 'Write @feature(…) above "def my_feature(user_id: str) -> int:".'],
  [
    'Compute it with a function: feature({ … }, async (key, { db, inputs }) => …).',
    'Compute it with a function under @feature(…), whose parameters are the key and the inputs.',
  ],
  ['entity("User", { key: "user_id" })', 'entity("User", key="user_id")'],
  ['source("transactions", { timestamp: "created_at" })', 'source("transactions", timestamp="created_at")'],
  ['featureSet("fraud_v1"', 'feature_set("fraud_v1"'],
  ['featureSet()', 'feature_set()'],
  ['{ minutes: 5 }', 'timedelta(minutes=5)'],
  ['Export what Fabra is to serve: export const my_feature = feature({ … }).', 'Write @feature(entity=User, …) above a function.'],
  ['nothing that is exported is a feature.', 'nothing in it is a feature.'],
  ['the name it is exported under', 'the name of its function or variable'],
  ['Rename one, or export it once and import it elsewhere.', 'Rename one, or define it once and import it elsewhere.'],
  ['that is not exported.', 'that has no name in its module.'],
  ['Write "export" before that feature.', 'Assign it to a variable at the top level of its file.'],
  ['needs an object of options', 'needs options by name'],
  ['sql: "SELECT …", or sql: { duckdb: "…", postgres: "…" }', 'sql="SELECT …", or sql={"duckdb": "…", "postgres": "…"}'],
  ['{ total_30d: "float", avg_30d: "float" }', '{"total_30d": float, "avg_30d": float}'],
  ['{ amount: "float" }', '{"amount": float}'],
  ['{ user_id: "int" }', '{"user_id": int}'],
  ['{ created_at: "%d/%m/%Y" }', '{"created_at": "%d/%m/%Y"}'],
  ['{ user_id: "VARCHAR", created_at: "TIMESTAMPTZ" }', '{"user_id": "VARCHAR", "created_at": "TIMESTAMPTZ"}'],
  ['Return an RFC 3339 string with a zone, a Date, or null', 'Give a datetime with a zone, an RFC 3339 text with one, or null'],
  ['got undefined', 'got nothing'],
  [
    'Known: int, float, string, bool, timestamp, list, dict, json.',
    'Known: int, float, str, bool, datetime, list, dict, and Any for json.',
  ],
  [
    'one of int, float, string, bool, timestamp, list, dict, json.',
    'one of int, float, str, bool, datetime, list, dict, and Any for json.',
  ],
  ['Known: string, int, uuid.', 'Known: str, int, UUID.'],
  ['Did you mean "string"?', 'Did you mean str?'],
  ['Did you mean "timestamp"?', 'Did you mean datetime?'],
  ['Did you mean "json"?', 'Did you mean Any?'],
  ['something undefined', 'nothing'],
]

const OPTION =
  /\b(entity|name|type|columns|default|max_staleness|look_back|history|version|same_as|refresh|sql|timeout|keep_warm|keep|uses|inputs|replay|batch|nan|description|owner|tags|key|keys|timestamp|delay|available|until|id|timezone|static|file|format): (?=["'[{\d]|true\b|false\b|User\b)/g

/** What is wrong with a value; its message may quote the value, which stays as it is. */
export function ofValueInPython<Wrong extends { readonly message: string; readonly hint?: string }>(wrong: Wrong): Wrong {
  const message = wrong.message.replace(/^expected (?:list|dict)\[[^"]*?\](?=,)/, (type) => type.replaceAll('string', 'str'))
  const hint = wrong.hint === undefined ? {} : { hint: asPython(wrong.hint).replace(/^Return a string\b/, 'Return a str') }
  return { ...wrong, message, ...hint }
}

/** What is quoted of the author's SQL stays as it is. */
const SQL = ' of its SQL: '

function inPython(text: string): string {
  const at = text.indexOf(SQL)
  return at < 0 ? asPython(text) : asPython(text.slice(0, at)) + text.slice(at)
}

function asPython(text: string): string {
  let python = text
  for (const [written, said] of PIECES) python = python.replaceAll(written, said)
  return (
    python
      .replace(OPTION, '$1=')
      .replace(/=true\b/g, '=True')
      .replace(/=false\b/g, '=False')
      .replace(/=\{ ([^{}]*) \}/g, (_, parts: string) => `={${parts.replace(/(^|, )([A-Za-z_]\w*): /g, '$1"$2": ')}}`)
      .replaceAll(/(?<!["\w])(true|false)(?!["\w])/g, (word) => (word === 'true' ? 'True' : 'False'))
      // Of nan it is one of the words.
      .replaceAll(/(?<!["\w]|error, )null(?!["\w])/g, 'None')
      .replaceAll('Null stands', 'None stands')
  )
}
