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
let at: { table: Walked; index: number } | null = null

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
  const from = present(all)
  const next = from === null ? { table: first, index: 0 } : neighbour(all, from, step)
  at = next
  next.table.show(next.index)
  requestAnimationFrame(() => focus(next))
}

function byPlace(a: Walked, b: Walked): number {
  return a.element.compareDocumentPosition(b.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1
}

/** Where the focus is; else where one was last. */
function present(all: readonly Walked[]): { table: Walked; index: number } | null {
  const row = document.activeElement?.closest('[data-i]')
  const table = row && all.find(({ element }) => element.contains(row))
  if (row && table) return { table, index: Number(row.getAttribute('data-i')) }
  return at && all.includes(at.table) ? at : null
}

function neighbour(all: readonly Walked[], { table, index }: { table: Walked; index: number }, step: 1 | -1) {
  const next = index + step
  if (next >= 0 && next < table.count()) return { table, index: next }
  const other = all[all.indexOf(table) + step]
  return other ? { table: other, index: step === 1 ? 0 : other.count() - 1 } : { table, index }
}

function focus({ table, index }: { table: Walked; index: number }): void {
  const row = table.element.querySelector<HTMLElement>(`[data-i="${index}"]`)
  const target = row?.matches('a') ? row : row?.querySelector<HTMLElement>('a, button')
  target?.focus({ preventScroll: true })
  row?.scrollIntoView({ block: 'nearest' })
}
