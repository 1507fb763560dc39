import { useSignal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import type { EntityPage as EntityAnswer, FeatureList, StateCounts } from '../../../http/wire.ts'
import { go, href, place, setQuery } from '../../core/address.ts'
import { useCatalogue } from '../../core/catalogue.ts'
import { useData } from '../../core/data.ts'
import { now } from '../../core/now.ts'
import { age, plural, valueText } from '../../core/words.ts'
import { CopyAs } from '../../parts/copy.tsx'
import { Counts, Mark } from '../../parts/mark.tsx'
import { Note, OldNote, Waiting } from '../../parts/note.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Ago, intervalWord } from '../../parts/time.tsx'
import { useKeyColumns } from '../feature/try-it.tsx'
import { Forget, RowsBehind, ServedLast } from './aside.tsx'
import { Past } from './past.tsx'
import { type KeyRow, keyPath, keyRows } from './rows.ts'
import { Slider } from './slider.tsx'

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

interface ValuesProps {
  readonly of: EntityAnswer
  readonly features: FeatureList['features']
  readonly isOld: boolean
  readonly window: { readonly from: number; readonly to: number; readonly at: number | null }
  readonly entity: string
  readonly id: string
  readonly path: string
}

function Values({ of, features, isOld, window, entity, id, path }: ValuesProps) {
  const rows = useMemo(() => {
    const columns = new Map(features.map((feature) => [feature.name, feature.columns ? Object.keys(feature.columns) : null]))
    return keyRows(of, (name) => columns.get(name) ?? null)
  }, [of, features])
  const isPast = window.at !== null
  return (
    <div class={`cols tail${isPast ? ' past' : ''}`}>
      <section class="flush">
        {of.features.length === 0 ? (
          <Note title={`No feature describes a ${entity}.`} />
        ) : (
          <Table
            label={`values of ${entity} ${id}`}
            cls="sticky ent"
            columns={valueColumns(window)}
            rows={rows}
            keyOf={({ name }) => name}
            hrefOf={({ name }) => href(['features', name])}
            isOld={isOld}
          />
        )}
      </section>
      <div>
        <ServedLast of={of} />
        <RowsBehind of={of} />
        <Forget entity={entity} id={id} path={path} of={of} />
      </div>
    </div>
  )
}

function valueColumns({ from, to, at }: ValuesProps['window']): readonly Column<KeyRow>[] {
  return [
    { id: 'mark', head: <span class="hide">state</span>, cls: 'm1', cell: ({ of }) => <StateMark of={of} /> },
    { id: 'feature', head: 'feature', cls: 'mono', width: 'w-name', cell: ({ name }) => <a href={href(['features', name])}>{name}</a> },
    { id: 'value', head: 'value', cls: 'num', width: 'w20', cell: (row) => <Value of={row} /> },
    {
      id: 'age',
      head: 'age',
      cls: 'num',
      width: 'w10',
      cell: ({ of }) => age(of.freshness_ms),
      cellCls: ({ of }) => (of.status === 'stale' ? 'is-stale' : ''),
    },
    { id: 'of', head: 'of', cls: 'num soft p1', width: 'w7', cell: ({ of }) => intervalWord(of.interval_ms ?? null) },
    { id: 'from', head: 'from', cls: 'soft p1', width: 'w12', cell: ({ of }) => fromWord(of) },
    { id: 'steps', head: 'history', cls: 'p2', cell: ({ of, history }) => <Past of={of} history={history} from={from} to={to} at={at} /> },
    {
      id: 'before',
      head: 'before',
      cls: 'num soft p2',
      width: 'w14',
      cell: ({ before }) => (before === undefined ? '' : valueText(before)),
    },
    { id: 'changed', head: 'changed', cls: 'num soft p2', width: 'w9', cell: ({ of }) => <Ago of={of.changed_at} none="" /> },
  ]
}

function StateMark({ of }: { of: KeyRow['of'] }) {
  if (of.pending) return <Mark of="running" word="not computed yet" />
  if (of.needs_inputs) return <Mark of="none" word="needs inputs" />
  return <Mark of={of.status} />
}

function Value({ of: { of, value } }: { of: KeyRow }) {
  if (of.error) return <span title={`${of.error.code}: ${of.error.message}`}>{of.error.code.replace(/^feature_/, '')}</span>
  if (of.pending) return <span class="soft">computing …</span>
  if (of.needs_inputs) {
    return (
      <span class="soft" title={of.needs_inputs.join(', ')}>
        needs inputs
      </span>
    )
  }
  if (of.status === 'missing') return <>–</>
  return (
    <span key={JSON.stringify(value)} class="changed-cell" title={JSON.stringify(value)}>
      {valueText(value)}
    </span>
  )
}

function fromWord({ method, served_from }: KeyRow['of']): string {
  if (method) return { recompute: 'recomputed', replay: 'replayed', history: 'recorded' }[method]
  return served_from ?? '–'
}
