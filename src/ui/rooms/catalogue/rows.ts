/** Which rows of the catalogue are shown, and in which order: as its address says. */
import type { ColumnRow } from '../../core/catalogue.ts'
import { STATES } from '../../parts/mark.tsx'
import type { Sort } from '../../parts/table.tsx'

/** What rows can be narrowed by; each is a name in the query, and takes one value. */
export const FACETS = ['state', 'entity', 'kind', 'owner', 'tag', 'set'] as const
export type Facet = (typeof FACETS)[number]

export interface FeatureSet {
  readonly name: string
  readonly features: readonly string[]
}

/** What a row has of a facet. */
export function valuesOf(row: ColumnRow, facet: Facet, sets: readonly FeatureSet[]): readonly string[] {
  const { feature } = row
  switch (facet) {
    case 'state':
      return feature.state ? [feature.state] : []
    case 'entity':
      return [feature.entity]
    case 'kind':
      return [feature.kind]
    case 'owner':
      return feature.owner === null ? [] : [feature.owner]
    case 'tag':
      return feature.tags
    case 'set':
      return sets.filter(({ features }) => features.includes(row.name) || features.includes(feature.name)).map(({ name }) => name)
  }
}

export function narrowed(rows: readonly ColumnRow[], query: URLSearchParams, sets: readonly FeatureSet[]): ColumnRow[] {
  const words = (query.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  const wanted = FACETS.flatMap((facet) => {
    const value = query.get(facet)
    return value === null ? [] : [{ facet, value }]
  })
  return rows.filter((row) => {
    const text = `${row.name} ${row.feature.entity} ${row.feature.description ?? ''} ${row.feature.reason?.message ?? ''}`.toLowerCase()
    return words.every((word) => text.includes(word)) && wanted.every(({ facet, value }) => valuesOf(row, facet, sets).includes(value))
  })
}

/** Without a word in the address: worst first, then what is read most. */
export function sortOf(query: URLSearchParams): Sort {
  return { by: query.get('sort') ?? '', isDown: query.get('dir') !== 'up' }
}

type Key = number | string | null

const KEYS: Readonly<Record<string, (row: ColumnRow) => Key>> = {
  feature: ({ name }) => name,
  entity: ({ feature }) => feature.entity,
  min: ({ distribution }) => distribution?.quantiles?.min ?? null,
  median: ({ distribution }) => distribution?.quantiles?.p50 ?? null,
  max: ({ distribution }) => distribution?.quantiles?.max ?? null,
  age: ({ feature }) => feature.refreshed?.age_ms ?? null,
  of: ({ feature }) => feature.refreshed?.interval_ms ?? null,
  reads: ({ feature }) => feature.reads?.reads_per_second ?? null,
  null: ({ distribution, feature }) => distribution?.null_share ?? feature.reads?.null_share ?? null,
  p99: ({ feature }) => feature.reads?.latency_ms.p99 ?? null,
  changed: ({ feature }) => (feature.version_since ? Date.parse(feature.version_since) : null),
}

export function sorted(rows: readonly ColumnRow[], { by, isDown }: Sort): ColumnRow[] {
  const keyOf = KEYS[by]
  if (!keyOf) return rows.toSorted(worstFirst)
  // What is not known comes last, whichever way.
  return rows.toSorted((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)]
    if (left === null || right === null) return Number(left === null) - Number(right === null)
    const order = typeof left === 'string' ? left.localeCompare(String(right)) : left - Number(right)
    return isDown ? -order : order
  })
}

function worstFirst(a: ColumnRow, b: ColumnRow): number {
  const rank = ({ feature }: ColumnRow) => {
    const place = feature.state ? STATES.indexOf(feature.state) : STATES.length
    return place === STATES.length - 1 && feature.reason ? place - 0.5 : place
  }
  const reads = ({ feature }: ColumnRow) => feature.reads?.reads_per_second ?? 0
  return rank(a) - rank(b) || reads(b) - reads(a)
}
