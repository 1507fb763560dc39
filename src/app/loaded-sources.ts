/** The sources of definitions, loaded. */
import type { KeyType, Problem, Registry } from '../definition/model.ts'
import type { LoadFinding, SourceEngine } from '../store/ports/source-engine.ts'

/** @returns what is wrong with them, and what is to be known of how their files were read. */
export async function loadSources(registry: Registry, sourceEngine: SourceEngine): Promise<{ problems: Problem[]; notes: Problem[] }> {
  const keyTypes = keyColumnTypes(registry)
  const findings = await sourceEngine.load([...registry.sources.values()].map((source) => ({ source, keyTypes })))
  const asProblem = ({ source, message, hint }: LoadFinding): Problem => {
    const location = registry.sources.get(source)?.location ?? null
    return { location, subject: `source "${source}"`, message, hint }
  }
  return {
    problems: findings.filter(({ isNote }) => !isNote).map(asProblem),
    notes: findings.filter(({ isNote }) => isNote).map(asProblem),
  }
}

/** Columns of files that are named as a key column load with the key's type. Where entities disagree of what type a column of one name is, it stays text, which loses nothing for any of them. */
function keyColumnTypes(registry: Registry): Record<string, KeyType> {
  const types: Record<string, KeyType> = {}
  for (const { key } of registry.entities.values()) {
    for (const { name, type } of key) types[name] = (types[name] ?? type) === type ? type : 'string'
  }
  return types
}
