/** Two names that the engine takes for one: it knows no case. As a message says it; undefined where all differ. */
export function repeatedName(names: readonly string[]): string | undefined {
  const first = new Map<string, string>()
  for (const name of names) {
    const folded = name.toLowerCase()
    const other = first.get(folded)
    if (other === name) return JSON.stringify(name)
    if (other !== undefined) return `${JSON.stringify(other)} and ${JSON.stringify(name)}, which are one name`
    first.set(folded, name)
  }
  return undefined
}
