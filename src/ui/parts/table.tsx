/**
 * A table: numbers right, words left, one row a line. A click anywhere in a row opens it. Only rows near the screen are drawn where there are many, so
 * that 500 features need no pages.
 */
import type { ComponentChildren } from 'preact'
import { Fragment } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { go } from '../core/address.ts'
import { addWalked } from '../core/rows.ts'

export interface Column<R> {
  readonly id: string
  readonly head: ComponentChildren
  /** Classes of head and cells: `num`, `mono`, `soft`, `p1` … */
  readonly cls?: string
  /** Class of the head alone: its width. */
  readonly width?: string
  /** It can be sorted by: the word for screen readers. */
  readonly sorts?: boolean
  readonly cell: (row: R) => ComponentChildren
  /** Classes of this row's cell besides. */
  readonly cellCls?: (row: R) => string
}

export interface Sort {
  readonly by: string
  readonly isDown: boolean
}

interface TableProps<R> {
  readonly label: string
  readonly columns: readonly Column<R>[]
  readonly rows: readonly R[]
  readonly keyOf: (row: R) => string
  readonly hrefOf?: (row: R) => string | null
  readonly cls?: string
  readonly rowCls?: (row: R) => string
  readonly sort?: Sort
  readonly onSort?: (by: string) => void
  /** A second row below this one. */
  readonly detail?: (row: R) => ComponentChildren
  readonly isOld?: boolean
}

const MANY = 120
const BEYOND = 20
/** Before it is known where the table stands. */
const FIRST = 60

export function Table<R>(props: TableProps<R>) {
  const { columns, rows } = props
  const body = useRef<HTMLTableElement>(null)
  const range = useRange(body, rows.length, props.detail !== undefined)
  useWalked(body, rows.length, range)
  const seen = useSeenColumns(body, columns.length)
  const isCut = range.to - range.from < rows.length
  const heading = props.sort && props.onSort ? { sort: props.sort, onSort: props.onSort } : {}
  return (
    <table
      ref={body}
      class={`${props.cls ?? ''}${props.isOld ? ' old' : ''}`}
      aria-label={props.label}
      aria-rowcount={isCut ? rows.length + 1 : undefined}
    >
      <Head columns={columns} {...heading} />
      <tbody>
        {range.from > 0 && <Space rows={range.from} columns={seen} />}
        {rows.slice(range.from, range.to).map((row, i) => {
          const below = props.detail?.(row)
          return (
            <Fragment key={props.keyOf(row)}>
              <Row {...props} row={row} index={range.from + i} isCut={isCut} isOpen={Boolean(below)} />
              {below && (
                <tr class="detail">
                  <td colSpan={seen}>{below}</td>
                </tr>
              )}
            </Fragment>
          )
        })}
        {range.to < rows.length && <Space rows={rows.length - range.to} columns={seen} />}
      </tbody>
    </table>
  )
}

function Head<R>({ columns, sort, onSort }: { columns: readonly Column<R>[]; sort?: Sort; onSort?: (by: string) => void }) {
  return (
    <thead>
      <tr>
        {columns.map(({ id, head, cls, width, sorts }) => {
          const sorted = sort?.by === id ? (sort.isDown ? 'descending' : 'ascending') : undefined
          return (
            <th key={id} scope="col" class={`${cls ?? ''} ${width ?? ''}`.replace('mono', '')} aria-sort={sorted}>
              {sorts && onSort ? <button onClick={() => onSort(id)}>{head}</button> : head}
            </th>
          )
        })}
      </tr>
    </thead>
  )
}

function Row<R>(props: TableProps<R> & { row: R; index: number; isCut: boolean; isOpen: boolean }) {
  const { row, index, isCut, columns } = props
  const to = props.hrefOf?.(row) ?? null
  const open = (event: MouseEvent) => {
    const isOnControl = event.target instanceof Element && event.target.closest('a, button, input, summary')
    if (to !== null && !isOnControl && getSelection()?.toString() === '') go(to)
  }
  return (
    <tr
      class={`${props.rowCls?.(row) ?? ''}${props.isOpen ? ' open' : ''}`}
      data-i={index}
      aria-rowindex={isCut ? index + 2 : undefined}
      onClick={open}
    >
      {columns.map(({ id, cls, cell, cellCls }) => (
        <td key={id} class={`${cls ?? ''} ${cellCls?.(row) ?? ''}`}>
          {cell(row)}
        </td>
      ))}
    </tr>
  )
}

function Space({ rows, columns }: { rows: number; columns: number }) {
  return (
    <tr class="space">
      <td colSpan={columns} style={{ height: `calc(${rows} * (var(--row) + 1px))` }} />
    </tr>
  )
}

/** How many columns the screen has room for. A cell over more of them would make the missing ones again, each with a share of the width. */
function useSeenColumns(table: { readonly current: HTMLTableElement | null }, count: number): number {
  const [seen, setSeen] = useState(count)
  useLayoutEffect(() => {
    const look = () => {
      const heads = [...(table.current?.querySelectorAll<HTMLElement>('thead th') ?? [])]
      setSeen(heads.filter((head) => head.offsetWidth > 0).length || count)
    }
    look()
    addEventListener('resize', look)
    return () => removeEventListener('resize', look)
  }, [count])
  return seen
}

interface Range {
  readonly from: number
  readonly to: number
}

/** Which rows are near the screen. */
function useRange(table: { readonly current: HTMLTableElement | null }, count: number, isUneven: boolean): Range {
  const [range, setRange] = useState<Range>({ from: 0, to: FIRST })
  const isWhole = count <= MANY || isUneven
  useEffect(() => {
    if (isWhole) return
    const look = () => {
      const { current } = table
      if (!current) return
      const height = rowHeight(current)
      const from = Math.max(0, Math.floor(-current.getBoundingClientRect().top / height) - BEYOND)
      const to = Math.min(count, from + Math.ceil(innerHeight / height) + 2 * BEYOND)
      setRange((known) => (known.from === from && known.to === to ? known : { from, to }))
    }
    look()
    addEventListener('scroll', look, { passive: true })
    addEventListener('resize', look)
    return () => {
      removeEventListener('scroll', look)
      removeEventListener('resize', look)
    }
  }, [count, isWhole])
  return isWhole ? { from: 0, to: count } : range
}

function rowHeight(table: HTMLTableElement): number {
  return table.querySelector('tbody tr[data-i]')?.getBoundingClientRect().height || 25
}

function useWalked(table: { readonly current: HTMLTableElement | null }, count: number, range: Range): void {
  const known = useRef({ count, range })
  known.current = { count, range }
  // At once: rows that are seen can be walked.
  useLayoutEffect(() => {
    const element = table.current
    if (!element) return
    return addWalked({
      element,
      count: () => known.current.count,
      show(index) {
        const { from, to } = known.current.range
        if (index >= from && index < to) return
        const top = element.getBoundingClientRect().top + scrollY
        scrollTo(0, top + index * rowHeight(element) - innerHeight / 2)
      },
    })
  }, [])
}
