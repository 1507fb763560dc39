import { href, place, setQuery } from '../../core/address.ts'
import { CATALOGUE, type ColumnRow, columnRows, useCatalogue } from '../../core/catalogue.ts'
import { useData } from '../../core/data.ts'
import { me } from '../../core/session.ts'
import { number } from '../../core/words.ts'
import { CopyAs } from '../../parts/copy.tsx'
import { Mark, type Shape, STATES } from '../../parts/mark.tsx'
import { Note, OldNote, Waiting } from '../../parts/note.tsx'
import { type Sort, Table } from '../../parts/table.tsx'
import { COLUMNS } from './columns.tsx'
import { FACETS, type Facet, type FeatureSet, narrowed, sorted, sortOf, valuesOf } from './rows.ts'

export function Catalogue() {
  const list = useCatalogue()
  const sets = useData<{ feature_sets: FeatureSet[] }>('/v1/feature-sets', null).value?.feature_sets ?? []
  const { query } = place.value
  const all = columnRows(list.value?.features ?? [])
  const sort = sortOf(query)
  const rows = sorted(narrowed(all, query, sets), sort)
  return (
    <>
      <div class="head">
        <h1 class="hide">Catalogue</h1>
        <Filter />
        {list.value && (
          <span class="soft" role="status">
            {number(rows.length)} of {number(all.length)}
          </span>
        )}
        <span class="soft only-wide">{sort.by === '' ? 'worst first, then most read' : `sorted by ${sort.by}`}</span>
        <Chosen all={all} />
        <div class="acts">
          <CopyAs path={CATALOGUE} cli="fabra list --json" />
        </div>
      </div>
      <OldNote on={list} />
      {me.value?.statistics === false && (
        <Note title="Statistics are off (FABRA_STATISTICS=off).">
          Values and ages are exact all the same; distributions and latency are not kept.
        </Note>
      )}
      <div class="cols rail">
        <Facets all={all} sets={sets} />
        <div>{list.value ? <Rows rows={rows} all={all} sort={sort} /> : <Waiting on={list} />}</div>
      </div>
    </>
  )
}

function Filter() {
  return (
    <input
      type="search"
      class="w32"
      aria-label="filter these rows"
      placeholder="filter these rows"
      value={place.value.query.get('q') ?? ''}
      onInput={(event) => setQuery({ q: event.currentTarget.value })}
    />
  )
}

/** Where the facets beside the rows have no room: the states, and what is chosen besides, which takes itself away. */
function Chosen({ all }: { all: readonly ColumnRow[] }) {
  const { query } = place.value
  const chosen = FACETS.flatMap((facet) => {
    const value = query.get(facet)
    return value === null || facet === 'state' ? [] : [{ facet, value }]
  })
  return (
    <span class="pills only-narrow">
      {countsOf(all, 'state', []).map(([state, count]) => {
        const isChosen = query.get('state') === state
        return (
          <button key={state} class="pill" aria-pressed={isChosen} onClick={() => setQuery({ state: isChosen ? null : state })}>
            <Mark of={state as Shape} /> {number(count)}
          </button>
        )
      })}
      {chosen.map(({ facet, value }) => (
        <button key={facet} class="pill" aria-pressed="true" onClick={() => setQuery({ [facet]: null })}>
          {facet} {value} ×
        </button>
      ))}
    </span>
  )
}

function Facets({ all, sets }: { all: readonly ColumnRow[]; sets: readonly FeatureSet[] }) {
  return (
    <div class="facets" role="group" aria-label="narrow by">
      {FACETS.map((facet) => {
        const counts = countsOf(all, facet, sets)
        if (counts.length === 0) return null
        return (
          <div key={facet} class="facet">
            <h2 class="label">{facet}</h2>
            {counts.map(([value, count]) => (
              <Choice key={value} facet={facet} value={value} count={count} />
            ))}
          </div>
        )
      })}
    </div>
  )
}

function Choice({ facet, value, count }: { facet: Facet; value: string; count: number }) {
  const isChosen = place.value.query.get(facet) === value
  return (
    <button aria-pressed={isChosen} onClick={() => setQuery({ [facet]: isChosen ? null : value })}>
      {facet === 'state' && <Mark of={value as Shape} />}
      <span class="cut">{value}</span>
      <span class="num">{number(count)}</span>
    </button>
  )
}

const MOST_CHOICES = 12

function countsOf(all: readonly ColumnRow[], facet: Facet, sets: readonly FeatureSet[]): [value: string, count: number][] {
  const counts = new Map<string, number>()
  for (const row of all) for (const value of valuesOf(row, facet, sets)) counts.set(value, (counts.get(value) ?? 0) + 1)
  const order: readonly string[] = STATES
  const byRank = facet === 'state' ? (a: string, b: string) => order.indexOf(a) - order.indexOf(b) : () => 0
  return [...counts].sort(([a, x], [b, y]) => byRank(a, b) || y - x || a.localeCompare(b)).slice(0, MOST_CHOICES)
}

function Rows({ rows, all, sort }: { rows: readonly ColumnRow[]; all: readonly ColumnRow[]; sort: Sort }) {
  if (all.length === 0) {
    return (
      <Note title="No features yet." command={'fabra init shop && cd shop\nfabra serve features.ts'}>
        Write one in features.ts, or start with some that run:
      </Note>
    )
  }
  if (rows.length === 0) {
    const clear = () => setQuery({ q: null, ...Object.fromEntries(FACETS.map((facet) => [facet, null])) })
    return (
      <Note title={`None of ${number(all.length)} features matches.`}>
        <button onClick={clear}>clear the filter</button>
      </Note>
    )
  }
  const turn = (by: string) => {
    const isAgain = sort.by === by
    setQuery(isAgain && !sort.isDown ? { sort: null, dir: null } : { sort: by, dir: isAgain ? 'up' : null })
  }
  return (
    <Table
      label="features"
      cls="sticky cat"
      columns={COLUMNS}
      rows={rows}
      keyOf={({ name }) => name}
      hrefOf={({ name }) => href(['features', name])}
      sort={sort}
      onSort={turn}
    />
  )
}
