/** What a type of lists and structures holds, read from the name that DuckDB gives it. */
export type SqlType =
  | { readonly kind: 'float'; readonly single: boolean }
  | { readonly kind: 'list'; readonly item: SqlType }
  | { readonly kind: 'map'; readonly value: SqlType }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, SqlType> }
  | { readonly kind: 'other' }

const OTHER: SqlType = { kind: 'other' }
const NAME = /"(?:[^"]|"")*"|[^\s(),[\]"]+/y

/** `STRUCT("a" BIGINT, b DOUBLE[])[]`; what is not known is `other`. */
export function parseSqlType(text: string): SqlType {
  let at = 0
  const skip = (wanted: string) => {
    while (text[at] === ' ') at++
    if (text[at] !== wanted) return false
    at++
    return true
  }
  const name = () => {
    while (text[at] === ' ') at++
    NAME.lastIndex = at
    const found = NAME.exec(text)?.[0] ?? ''
    at += found.length
    return found.startsWith('"') ? found.slice(1, -1).replaceAll('""', '"') : found
  }
  const type = (): SqlType => {
    let found = one(name().toUpperCase())
    // `WITH TIME ZONE`, or the length of an array.
    while (at < text.length && !'),'.includes(text[at] ?? '')) {
      if (text[at] === '[') found = { kind: 'list', item: found }
      at++
    }
    return found
  }
  const one = (called: string): SqlType => {
    if (called === 'DOUBLE' || called === 'FLOAT') return { kind: 'float', single: called === 'FLOAT' }
    if (!skip('(')) return OTHER
    let found: SqlType = OTHER
    if (called === 'STRUCT') {
      const fields = new Map<string, SqlType>()
      do fields.set(name(), type())
      while (skip(','))
      found = { kind: 'struct', fields }
    } else if (called === 'MAP') {
      type()
      if (skip(',')) found = { kind: 'map', value: type() }
    } else while (at < text.length && text[at] !== ')') at++
    skip(')')
    return found
  }
  return type()
}

export function holdsFloats(type: SqlType): boolean {
  switch (type.kind) {
    case 'float':
      return true
    case 'list':
      return holdsFloats(type.item)
    case 'map':
      return holdsFloats(type.value)
    case 'struct':
      return [...type.fields.values()].some(holdsFloats)
    case 'other':
      return false
  }
}

/** Where a value (as parseExact gives it) holds a whole number that would be another as a float of its type: its path, and the number. */
export function firstInexact(value: unknown, type: SqlType, path = ''): { readonly path: string; readonly text: string } | undefined {
  if (type.kind === 'float') return isExact(value, type.single) ? undefined : { path, text: String(value) }
  const parts: [unknown, SqlType, string][] =
    type.kind === 'list' && Array.isArray(value)
      ? value.map((item, i) => [item, type.item, `${path}[${i}]`])
      : type.kind !== 'list' && typeof value === 'object' && value !== null
        ? Object.entries(value).map(([name, part]) => [part, partType(type, name), `${path}.${name}`])
        : []
  for (const [part, partOf, at] of parts) {
    const found = firstInexact(part, partOf, at)
    if (found) return found
  }
  return undefined
}

function partType(type: SqlType, name: string): SqlType {
  if (type.kind === 'map') return type.value
  return (type.kind === 'struct' ? type.fields.get(name) : undefined) ?? OTHER
}

/** Fractions are rounded, as floats do; of two whole numbers must not become one. */
export function isExact(value: unknown, single: boolean): boolean {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return Number.isFinite(value)
  if (typeof value !== 'number' && typeof value !== 'bigint') return true
  const number = single ? Math.fround(Number(value)) : Number(value)
  return Number.isFinite(number) && BigInt(number) === BigInt(value)
}
