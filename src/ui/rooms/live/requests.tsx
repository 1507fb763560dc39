import type { RequestEvent } from '../../../http/wire.ts'
import { href } from '../../core/address.ts'
import { clock, moment, number } from '../../core/words.ts'
import { Mark, STATES } from '../../parts/mark.tsx'
import { Note } from '../../parts/note.tsx'
import { type Column, Table } from '../../parts/table.tsx'

const MOST = 100

const COLUMNS: readonly Column<RequestEvent>[] = [
  {
    id: 'time',
    head: 'time, UTC',
    cls: 'mono soft p1',
    width: 'w14',
    cell: ({ at }) => (
      <time dateTime={at} title={moment(at)}>
        {clock(at)}
      </time>
    ),
  },
  { id: 'key', head: 'key', cls: 'p1', width: 'w12', cell: ({ key }) => key ?? <span class="soft">–</span> },
  {
    id: 'asked',
    head: 'asked for',
    cls: 'mono',
    cell: ({ asked_for }) => <span title={asked_for.join(', ')}>{asked_for.join(', ')}</span>,
  },
  { id: 'rows', head: 'rows', cls: 'num p2', width: 'w7', cell: ({ rows }) => number(rows) },
  { id: 'ms', head: 'ms', cls: 'num', width: 'w8', cell: ({ ms }) => (ms >= 100 ? number(Math.round(ms)) : ms.toFixed(1)) },
  { id: 'states', head: 'states', width: 'w24', cell: (request) => <States of={request} /> },
  { id: 'entity', head: 'entity', cls: 'mono soft p2', width: 'w18', cell: ({ entity }) => entity && <Key of={entity} /> },
]

/** @param all How many there are without the filter. */
export function Requests({ of, all }: { of: readonly RequestEvent[]; all: number }) {
  if (of.length === 0) {
    if (all > 0) return <Note title="None of the requests matches the filter." />
    return (
      <Note title="No requests yet." command={`curl '${location.origin}/v1/features'`}>
        They appear here as they come. Read a feature ("Try it" on its page), and it is the first.
      </Note>
    )
  }
  return <Table label="requests" cls="sticky lv" columns={COLUMNS} rows={of.slice(0, MOST)} keyOf={keyOf} hrefOf={linkOf} />
}

function keyOf({ at, asked_for, ms, entity }: RequestEvent): string {
  return `${at} ${ms} ${asked_for[0] ?? ''} ${entity ? JSON.stringify(entity.key) : ''}`
}

function linkOf({ entity }: RequestEvent): string | null {
  return entity ? href(['entities', entity.entity, Object.values(entity.key).join(',')]) : null
}

function Key({ of }: { of: NonNullable<RequestEvent['entity']> }) {
  const id = Object.values(of.key).join(',')
  return (
    <a href={href(['entities', of.entity, id])}>
      {of.entity} {id}
    </a>
  )
}

/** Counts by shape; of a request that failed its code. */
export function States({ of: { states, error_code } }: { of: RequestEvent }) {
  const shown = [...STATES].reverse().filter((state) => states[state])
  if (shown.length === 0 && error_code !== null) {
    return (
      <>
        <Mark of="error" /> {error_code}
      </>
    )
  }
  return (
    <>
      {shown.map((state) => (
        <span class="by" key={state}>
          <Mark of={state} /> {number(states[state])}
        </span>
      ))}
    </>
  )
}
