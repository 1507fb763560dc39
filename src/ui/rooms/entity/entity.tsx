import { useSignal } from '@preact/signals'
import type { EntityPage as EntityAnswer, FeatureList, StateCounts } from '../../../http/wire.ts'
import { go, href, place, setQuery } from '../../core/address.ts'
import { useCatalogue } from '../../core/catalogue.ts'
import { useData } from '../../core/data.ts'
import { now } from '../../core/now.ts'
import { plural } from '../../core/words.ts'
import { CopyAs } from '../../parts/copy.tsx'
import { Counts } from '../../parts/mark.tsx'
import { Note, OldNote, Waiting } from '../../parts/note.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { useKeyColumns } from '../feature/try-it.tsx'
import { keyPath } from './rows.ts'
import { Slider } from './slider.tsx'
import { Values } from './values.tsx'

/** Looking computes what is not there: seldom, so that a page that is left open costs little. */
const EVERY_MS = 15_000
const DEFINITIONS_EVERY_MS = 60_000
const SPANS: Readonly<Record<string, number>> = { '1d': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000 }

export function EntityPage() {
  const [, entity, id] = place.value.parts
  const entities = useData<{ entities: { name: string; key: Record<string, string> }[] }>('/v1/entities', null)
  const known = entities.value?.entities ?? []
  if (!entities.value) return <Waiting on={entities} />
  if (entity === undefined || id === undefined || !known.some(({ name }) => name === entity)) {
    return (
      <>
        <div class="head">
          <h1>Entities</h1>
          <p>{plural(known.length, 'kind')} of things that features describe</p>
        </div>
        <Choose key={entity} entities={known} entity={entity ?? ''} id="" />
        <Kinds entities={known} />
      </>
    )
  }
  return <Page key={`${entity} ${id}`} entity={entity} id={id} entities={known} />
}

interface EntityJson {
  readonly name: string
  readonly key: Readonly<Record<string, string>>
}

function Choose({ entities, entity, id }: { entities: readonly EntityJson[]; entity: string; id: string }) {
  const chosen = useSignal(entities.some(({ name }) => name === entity) ? entity : (entities[0]?.name ?? ''))
  const key = useSignal(id)
  const columns = Object.keys(entities.find(({ name }) => name === chosen.value)?.key ?? {})
  const open = (event: Event) => {
    event.preventDefault()
    if (key.value.trim() !== '') go(href(['entities', chosen.value, key.value.trim()]))
  }
  return (
    <form class="pills" onSubmit={open}>
      <select
        aria-label="entity"
        value={chosen.value}
        onChange={(event) => {
          chosen.value = event.currentTarget.value
        }}
      >
        {entities.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <input
        aria-label={columns.join(', ') || 'key'}
        placeholder={columns.join(',')}
        size={14}
        value={key.value}
        onInput={(event) => {
          key.value = event.currentTarget.value
        }}
      />
      <button type="submit">go</button>
    </form>
  )
}

function Kinds({ entities }: { entities: readonly EntityJson[] }) {
  const features = useCatalogue().value?.features ?? []
  if (entities.length === 0) return <Note title="No entities yet." command="fabra init shop" />
  const columns: readonly Column<EntityJson>[] = [
    { id: 'entity', head: 'entity', width: 'w24', cell: ({ name }) => <a href={href(['catalogue'], { entity: name })}>{name}</a> },
    {
      id: 'key',
      head: 'key',
      cls: 'mono',
      cell: ({ key }) =>
        Object.entries(key)
          .map(([column, type]) => `${column} ${type}`)
          .join(', '),
    },
    {
      id: 'features',
      head: 'features',
      cls: 'num',
      width: 'w12',
      cell: ({ name }) => features.filter(({ entity }) => entity === name).length,
    },
  ]
  return (
    <section>
      <Table
        label="entities"
        columns={columns}
        rows={entities}
        keyOf={({ name }) => name}
        hrefOf={({ name }) => href(['catalogue'], { entity: name })}
      />
    </section>
  )
}

function Page({ entity, id, entities }: { entity: string; id: string; entities: readonly EntityJson[] }) {
  const { query } = place.value
  const asOf = query.get('as_of')
  const span = SPANS[query.get('span') ?? '7d'] ? (query.get('span') ?? '7d') : '7d'
  const columns = useKeyColumns(entity)
  const path = keyPath(entity, columns, id, { ...(asOf === null ? {} : { as_of: asOf }), history: span })
  const page = useData<EntityAnswer>(columns.length === 0 ? null : path, asOf === null ? EVERY_MS : null)
  // Beside the values and not after them: their rows are drawn once.
  const { features = [] } = useData<FeatureList>('/v1/features', DEFINITIONS_EVERY_MS).value ?? {}
  const at = asOf === null ? null : Date.parse(asOf)
  const { value } = page
  const spanMs = SPANS[span] ?? 0
  // A moment before the window moves the window there.
  const end = at !== null && at < now() - spanMs ? at + spanMs / 2 : now()
  return (
    <>
      <div class="head">
        <h1>
          <span class="soft">{entity}</span> <span class="mono">{id}</span>
        </h1>
        {value && (
          <p class="counts">
            {plural(value.features.length, 'feature')} {hasValues(value) ? <Counts of={countsOf(value)} /> : ' computing …'}
          </p>
        )}
        <div class="acts">
          <Choose entities={entities} entity={entity} id={id} />
          <CopyAs path={path} cli={asOf === null ? `fabra list --json` : trainCommand(value, columns, id, asOf)} />
        </div>
      </div>
      <OldNote on={page} />
      <Slider
        at={at}
        end={end}
        spanMs={spanMs}
        changes={value?.changes}
        method={value ? methodWords(value) : ''}
        onMove={(ms) => setQuery({ as_of: ms === null ? null : new Date(ms).toISOString() })}
        onSpan={(word) => setQuery({ span: word === '7d' ? null : word })}
      />
      {value ? (
        <Values
          of={value}
          features={features}
          isOld={page.isOld}
          window={{ from: end - spanMs, to: end, at }}
          entity={entity}
          id={id}
          path={keyPath(entity, columns, id, {})}
        />
      ) : (
        <Waiting on={page} />
      )}
    </>
  )
}

/** The same row as a training set. */
function trainCommand(page: EntityAnswer | undefined, columns: readonly string[], id: string, asOf: string): string {
  const names = page?.features.map(({ feature }) => feature).join(',') ?? ''
  const labels = [...columns, 'event_timestamp'].join(',')
  return `printf '${labels}\\n${id},${asOf}\\n' > labels.csv && fabra train labels.csv --features ${names} -o ${id.replace(/\W/g, '_')}.csv`
}

function countsOf({ features }: EntityAnswer): StateCounts {
  const counts: StateCounts = { fresh: 0, stale: 0, missing: 0, default: 0, error: 0 }
  for (const { status, pending, needs_inputs } of features) if (!pending && !needs_inputs) counts[status]++
  return counts
}

function hasValues({ features }: EntityAnswer): boolean {
  return features.some(({ pending, needs_inputs }) => !pending && !needs_inputs)
}

const METHODS = { recompute: 'recomputed from sources', replay: 'replayed', history: 'recorded' } as const

function methodWords({ as_of, features }: EntityAnswer): string {
  if (!as_of) return 'as it would be served in this moment'
  const parts = (['recompute', 'replay', 'history'] as const).flatMap((method) => {
    const count = features.filter((feature) => feature.method === method).length
    return count === 0 ? [] : [`${count} ${METHODS[method]}`]
  })
  return parts.join(' · ')
}
