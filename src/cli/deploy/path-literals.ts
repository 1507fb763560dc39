/** Texts in code that may be paths of files that it reads. Whether they are, the file system knows. */

export interface PathLiterals {
  /** As written. */
  readonly paths: readonly string[]
  /** With `*` and its like, or made of templates whose parts are not known before they run: `./models/${country}.json`. */
  readonly patterns: readonly string[]
}

const LONGEST = 300
const PATTERN = /[*?[{]/

/**
 * Everything on one line between two of the same quotes, were it a text or what stands between two of them: nothing then depends on telling
 * comments and regular expressions from texts, and what is no path leads to no file.
 */
export function pathLiterals(code: string): PathLiterals {
  const paths = new Set<string>()
  const patterns = new Set<string>()
  for (const line of code.split('\n')) {
    for (const quote of ["'", '"', '`']) {
      for (const text of between(line, quote)) {
        const pattern = quote === '`' && text.includes('${') ? ofTemplate(text) : text
        if (pattern === null || !isPathLike(pattern)) continue
        if (!PATTERN.test(pattern)) paths.add(pattern)
        else if (!/\s/.test(pattern) && /\w/.test(pattern)) patterns.add(pattern)
        // A file may be called so: pages/[id].json.
        if (PATTERN.test(pattern) && pattern === text) paths.add(pattern)
      }
    }
  }
  return { paths: [...paths], patterns: [...patterns] }
}

function between(line: string, quote: string): string[] {
  const at: number[] = []
  for (let i = line.indexOf(quote); i >= 0; i = line.indexOf(quote, i + 1)) {
    const escapes = /\\*$/.exec(line.slice(0, i))?.[0].length ?? 0
    if (escapes % 2 === 0) at.push(i)
  }
  return at.slice(1).map((end, i) => line.slice((at[i] ?? 0) + 1, end))
}

/** What is not known before it runs may be anything, but not further down; in front it is taken for the folder of the code. */
function ofTemplate(text: string): string | null {
  const pattern = text.replace(/^\$\{[^{}]*\}(?=\/)/, '.').replaceAll(/\$\{[^{}]*\}/g, '*')
  return pattern.includes('${') ? null : pattern
}

function isPathLike(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no path holds them.
  return text.length > 0 && text.length <= LONGEST && !text.includes('://') && !/[\x00-\x1f]/.test(text)
}
