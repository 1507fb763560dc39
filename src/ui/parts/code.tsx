/** Code with its place: weight and slant instead of colours, a rule at the line at fault. */
import type { ComponentChildren } from 'preact'

const KEYWORDS: Readonly<Record<string, RegExp>> = {
  typescript: /^(export|const|let|function|return|async|await|import|from|if|else|for|of|new|default|null|true|false|undefined)$/,
  python: /^(def|return|import|from|class|if|elif|else|for|in|not|and|or|with|as|lambda|async|await|None|True|False|raise)$/,
}
/** SQL stands in the texts of both languages, too. */
const SQL =
  /^(SELECT|FROM|WHERE|AND|OR|NOT|AS|ON|JOIN|LEFT|RIGHT|FULL|INNER|CROSS|LATERAL|GROUP|ORDER|BY|HAVING|LIMIT|UNION|ALL|WITH|CASE|WHEN|THEN|ELSE|END|COUNT|SUM|AVG|MIN|MAX|COALESCE|DISTINCT|INTERVAL|NOW|IN|IS|NULL|BETWEEN|OVER|PARTITION|FILTER|DESC|ASC|EXISTS|CAST)$/

const TOKEN = /(\/\/.*$|#.*$|--.*$|\/\*.*?(?:\*\/|$)|^\s*\*.*$)|(\$\w+)|([A-Za-z_]\w*)|([^A-Za-z_$]+|.)/g

/** One line with its words of the language marked. A comment sign inside of a text is taken for one; that only changes its slant. */
export function Line({ text, language }: { text: string; language: string }) {
  const parts: ComponentChildren[] = []
  for (const [whole, comment, parameter, word] of text.matchAll(TOKEN)) {
    const isKeyword = word !== undefined && (SQL.test(word) || KEYWORDS[language]?.test(word))
    const cls = comment ? 'c' : parameter ? 'p' : isKeyword ? 'k' : null
    parts.push(cls === null ? whole : <span class={cls}>{whole}</span>)
  }
  return <>{parts}</>
}

export function Code(props: {
  lines: readonly string[]
  from: number
  language: string
  fault?: number | null | undefined
  label: string
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and keys must reach it.
    <pre class="code" tabIndex={0} role="region" aria-label={props.label}>
      {props.lines.map((text, i) => {
        const number = props.from + i
        return (
          <span key={number} class={number === props.fault ? 'hit' : ''}>
            <i>{number}</i>
            <Line text={text} language={props.language} />
          </span>
        )
      })}
    </pre>
  )
}

type Change = readonly [sign: ' ' | '+' | '-', text: string]

/** The shortest way from one text to the other, by lines. */
export function lineDiff(before: readonly string[], after: readonly string[]): Change[] {
  // Longest common lines from each place on.
  const common = Array.from({ length: before.length + 1 }, () => new Array<number>(after.length + 1).fill(0))
  const at = (i: number, j: number) => common[i]?.[j] ?? 0
  for (let i = before.length - 1; i >= 0; i--) {
    const row = common[i]
    if (row)
      for (let j = after.length - 1; j >= 0; j--)
        row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  }
  const changes: Change[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      changes.push([' ', before[i] ?? ''])
      i++
      j++
    } else if (i < before.length && (j >= after.length || at(i + 1, j) >= at(i, j + 1))) changes.push(['-', before[i++] ?? ''])
    else changes.push(['+', after[j++] ?? ''])
  }
  return changes
}

const CLASSES = { ' ': '', '+': 'add', '-': 'del' }

/** What changed, with a line around it. */
export function Diff({ before, after }: { before: readonly string[]; after: readonly string[] }) {
  const all = lineDiff(before, after)
  const isNear = (index: number) => all.slice(Math.max(0, index - 1), index + 2).some(([sign]) => sign !== ' ')
  const shown = all.filter((_, index) => isNear(index))
  if (shown.length === 0) return <p class="soft">The text is the same; what it reads or its options changed.</p>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and keys must reach it.
    <pre class="code diff" tabIndex={0} role="region" aria-label="what changed">
      {shown.map(([sign, text], index) => (
        <span key={index} class={CLASSES[sign]}>
          {text}
        </span>
      ))}
    </pre>
  )
}
