/** The values of a key: a row for each column of each feature, and beside them who was served. */
import { useMemo } from 'preact/hooks'
import type { EntityPage as EntityAnswer, FeatureList } from '../../../http/wire.ts'
import { href } from '../../core/address.ts'
import { age, valueText } from '../../core/words.ts'
import { Mark } from '../../parts/mark.tsx'
import { Note } from '../../parts/note.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Ago, intervalWord } from '../../parts/time.tsx'
import { Forget, RowsBehind, ServedLast } from './aside.tsx'
import { Past } from './past.tsx'
import { type KeyRow, keyRows } from './rows.ts'

interface ValuesProps {
  readonly of: EntityAnswer
  readonly features: FeatureList['features']
  readonly isOld: boolean
  readonly window: { readonly from: number; readonly to: number; readonly at: number | null }
  readonly entity: string
  readonly id: string
  readonly path: string
}

export function Values({ of, features, isOld, window, entity, id, path }: ValuesProps) {
  const rows = useMemo(() => keyRows(of, features), [of, features])
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
