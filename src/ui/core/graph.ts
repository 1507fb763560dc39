/** Where the nodes of lineage stand: ranks and order by dagre, columns and lines our own. */
import type { Lineage, LineageEdge, LineageNode } from '../../http/wire.ts'

export interface Drawn {
  readonly nodes: ReadonlyMap<string, { readonly x: number; readonly y: number }>
  readonly edges: readonly { readonly from: string; readonly to: string; readonly path: string }[]
  readonly columns: readonly { readonly x: number; readonly title: string }[]
  readonly width: number
  readonly height: number
}

/** Of the monospaced letters of names. */
const LETTER = 7.3
const LINE = 19
const GAP = 72
const MOST_GAP = 320

/** dagre takes a second and more for hundreds of nodes, in which the page stands still: those are put in order by their neighbours alone. */
const MOST_FOR_DAGRE = 150
const SWEEPS = 4

/** @param room How wide it may be: columns stand as far apart as that allows, so that lines can be told apart. */
export async function layOut(lineage: Lineage, room = 0): Promise<Drawn> {
  const { nodes, edges } = lineage
  const ranks = ranksOf(nodes, edges)
  const heightAt = nodes.length > MOST_FOR_DAGRE ? orderOf(lineage, ranks) : await dagreOf(lineage)
  const columns = new Map<number, LineageNode[]>()
  for (const node of nodes.toSorted((a, b) => (heightAt.get(a.id) ?? 0) - (heightAt.get(b.id) ?? 0))) {
    const rank = ranks.get(node.id) ?? 0
    const column = columns.get(rank)
    if (column) column.push(node)
    else columns.set(rank, [node])
  }
  return placed(
    [...columns].sort(([a], [b]) => a - b).map(([, of]) => of),
    edges,
    room,
  )
}

async function dagreOf({ nodes, edges }: Lineage): Promise<ReadonlyMap<string, number>> {
  const { graphlib, layout } = await import('@dagrejs/dagre')
  const graph = new graphlib.Graph()
  graph.setGraph({ rankdir: 'LR', nodesep: 4, ranksep: GAP, align: 'UL' })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const node of nodes) graph.setNode(node.id, { width: node.name.length * LETTER + 24, height: heightOf(node) })
  for (const { from, to } of edges) graph.setEdge(from, to)
  layout(graph)
  return new Map(nodes.map(({ id }) => [id, graph.node(id)?.y ?? 0]))
}

/** Each node at the mean height of its neighbours, there and back a few times; heights are shares of a column. */
function orderOf({ nodes, edges }: Lineage, ranks: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const [before, after] = [Map.groupBy(edges, ({ to }) => to), Map.groupBy(edges, ({ from }) => from)]
  const columns = Map.groupBy(nodes, ({ id }) => ranks.get(id) ?? 0)
  const heights = new Map<string, number>()
  const settle = (column: readonly LineageNode[]) => {
    for (const [i, { id }] of column.entries()) heights.set(id, (i + 0.5) / column.length)
  }
  for (const column of columns.values()) settle(column)
  const mean = (ids: readonly string[], own: number) =>
    ids.length === 0 ? own : ids.reduce((sum, id) => sum + (heights.get(id) ?? own), 0) / ids.length
  const there = [...columns.keys()].sort((a, b) => a - b)
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isThere = sweep % 2 === 0
    for (const rank of isThere ? there : there.toReversed()) {
      const wanted = new Map<string, number>()
      for (const { id } of columns.get(rank) ?? []) {
        const near = isThere ? before.get(id)?.map(({ from }) => from) : after.get(id)?.map(({ to }) => to)
        wanted.set(id, mean(near ?? [], heights.get(id) ?? 0))
      }
      const column = (columns.get(rank) ?? []).toSorted((a, b) => (wanted.get(a.id) ?? 0) - (wanted.get(b.id) ?? 0))
      columns.set(rank, column)
      settle(column)
    }
  }
  return heights
}

function heightOf(node: LineageNode): number {
  return node.kind === 'source' ? 2 * LINE : LINE
}

/** A column for each depth; sets and keys come after all features. */
function ranksOf(nodes: readonly LineageNode[], edges: readonly LineageEdge[]): Map<string, number> {
  const before = Map.groupBy(edges, ({ to }) => to)
  const ranks = new Map<string, number>()
  const features = new Set(nodes.filter(({ kind }) => kind === 'feature').map(({ id }) => id))
  const rankOf = (id: string): number => {
    const known = ranks.get(id)
    if (known !== undefined) return known
    ranks.set(id, 1)
    const deps = (before.get(id) ?? []).filter(({ from }) => features.has(from))
    const rank = deps.length === 0 ? 1 : 1 + Math.max(...deps.map(({ from }) => rankOf(from)))
    ranks.set(id, rank)
    return rank
  }
  for (const id of features) rankOf(id)
  const last = Math.max(0, ...[...features].map((id) => ranks.get(id) ?? 0))
  for (const { id, kind } of nodes) if (kind !== 'feature') ranks.set(id, kind === 'source' ? 0 : kind === 'set' ? last + 1 : last + 2)
  return ranks
}

/** Columns are spread over the height of the tallest one. */
function placed(columns: readonly (readonly LineageNode[])[], edges: readonly LineageEdge[], room: number): Drawn {
  const heights = columns.map((of) => of.reduce((sum, node) => sum + heightOf(node), 0))
  const height = Math.max(...heights, LINE)
  const nodes = new Map<string, { x: number; y: number; end: number }>()
  const titles: { x: number; title: string }[] = []
  const gap = gapOf(columns, room)
  let x = 0
  columns.forEach((of, i) => {
    const free = Math.min(40, (height - (heights[i] ?? 0)) / Math.max(1, of.length))
    const used = (heights[i] ?? 0) + free * of.length
    let y = (height - used) / 2 + LINE / 2 + free / 2
    for (const node of of) {
      nodes.set(node.id, { x, y, end: x + widthOf(node) })
      y += heightOf(node) + free
    }
    titles.push({ x, title: titleOf(of, i, columns[0] ?? []) })
    x += columnWidth(of) + gap
  })
  const lines = edges.flatMap(({ from, to }) => {
    const [a, b] = [nodes.get(from), nodes.get(to)]
    return a && b ? [{ from, to, path: curve(a.end, a.y, b.x - 8, b.y) }] : []
  })
  return { nodes, edges: lines, columns: titles, width: x - gap, height }
}

function widthOf({ name }: LineageNode): number {
  return name.length * LETTER + 20
}

function columnWidth(of: readonly LineageNode[]): number {
  return Math.max(120, ...of.map(widthOf))
}

function gapOf(columns: readonly (readonly LineageNode[])[], room: number): number {
  const free = room - columns.reduce((sum, of) => sum + columnWidth(of), 0)
  return Math.min(MOST_GAP, Math.max(GAP, free / Math.max(1, columns.length - 1)))
}

function titleOf([first]: readonly LineageNode[], index: number, [leftmost]: readonly LineageNode[]): string {
  if (first?.kind === 'source') return 'sources, rows, newest'
  if (first?.kind === 'set') return 'sets, worst state'
  if (first?.kind === 'key') return 'keys that read'
  if (leftmost?.kind !== 'source') return index === 0 ? 'features' : index === 1 ? 'features of features' : `depth ${index + 1}`
  return index <= 1 ? 'features of sources' : index === 2 ? 'features of features' : `depth ${index}`
}

function curve(x0: number, y0: number, x1: number, y1: number): string {
  const bend = Math.max(24, (x1 - x0) / 2)
  return `M${x0.toFixed(0)} ${y0.toFixed(0)}C${(x0 + bend).toFixed(0)} ${y0.toFixed(0)} ${(x1 - bend).toFixed(0)} ${y1.toFixed(0)} ${x1.toFixed(0)} ${y1.toFixed(0)}`
}

/** The node, all that leads to it and all that follows from it. */
export function litFrom(id: string, edges: readonly LineageEdge[]): ReadonlySet<string> {
  const lit = new Set([id])
  const follow = (from: string, side: 'from' | 'to', other: 'from' | 'to', seen: Set<string>): void => {
    if (seen.has(from)) return
    seen.add(from)
    lit.add(from)
    for (const edge of edges) if (edge[side] === from) follow(edge[other], side, other, seen)
  }
  follow(id, 'from', 'to', new Set())
  follow(id, 'to', 'from', new Set())
  return lit
}
