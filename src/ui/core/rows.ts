/**
 * Rows that are walked by key: `j` and `k` go through all tables of a page, in the order in which they stand. The row that one is at is the one whose
 * link has the focus, so that `enter` opens it and a screen reader reads it.
 */
export interface Walked {
  readonly element: HTMLElement
  readonly count: () => number
  /** Brings the row to the screen, drawn if it was not. */
  readonly show: (index: number) => void
}

const tables = new Set<Walked>()
interface Spot {
  readonly table: Walked
  readonly index: number
}

let at: Spot | null = null
/** Where the focus is on its way to: keys come faster than rows are drawn. */
let next: Spot | null = null

export function addWalked(table: Walked): () => void {
  tables.add(table)
  return () => {
    tables.delete(table)
    if (at?.table === table) at = null
  }
}

export function walk(step: 1 | -1): void {
  const all = [...tables].filter((table) => table.count() > 0 && table.element.offsetParent !== null).sort(byPlace)
  const [first] = all
  if (!first) return
  const from = next && all.includes(next.table) ? next : present(all)
  const to = from === null ? { table: first, index: 0 } : neighbour(all, from, step)
  at = to
  next = to
  to.table.show(to.index)
  if (rowOf(to)) focus(to)
  else requestAnimationFrame(() => focus(to))
}

function rowOf({ table, index }: Spot): HTMLElement | null {
  return table.element.querySelector<HTMLElement>(`[data-i="${index}"]`)
}

function byPlace(a: Walked, b: Walked): number {
  return a.element.compareDocumentPosition(b.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1
}

/** Where the focus is; else where one was last. */
function present(all: readonly Walked[]): Spot | null {
  const row = document.activeElement?.closest('[data-i]')
  const table = row && all.find(({ element }) => element.contains(row))
  if (row && table) return { table, index: Number(row.getAttribute('data-i')) }
  return at && all.includes(at.table) ? at : null
}

function neighbour(all: readonly Walked[], { table, index }: Spot, step: 1 | -1): Spot {
  const to = index + step
  if (to >= 0 && to < table.count()) return { table, index: to }
  const other = all[all.indexOf(table) + step]
  return other ? { table: other, index: step === 1 ? 0 : other.count() - 1 } : { table, index }
}

function focus(spot: Spot): void {
  if (next === spot) next = null
  const row = rowOf(spot)
  const target = row?.matches('a') ? row : row?.querySelector<HTMLElement>('a, button')
  target?.focus({ preventScroll: true })
  row?.scrollIntoView({ block: 'nearest' })
}
