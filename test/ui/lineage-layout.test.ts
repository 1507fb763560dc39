/** Where nodes of lineage stand, of projects of any size. */
import { expect, test } from 'bun:test'
import type { Lineage } from '../../src/http/wire.ts'
import { layOut } from '../../src/ui/core/graph.ts'

/** So many features of one source, in sets that each take a stretch of them, told from last to first. */
function lineageOf(features: number, sets: number): Pick<Lineage, 'nodes' | 'edges'> {
  const place = null
  const nodes: Lineage['nodes'][number][] = [
    { id: 'source:events', kind: 'source', name: 'events', rows: 1, newest_row_at: null, loaded_at: null, place },
  ]
  const edges: Lineage['edges'][number][] = []
  const edge = (from: string, to: string) => edges.push({ from, to, reads_per_second: null })
  for (let i = 0; i < features; i++) {
    const feature = { kind: 'feature', name: `f${i}`, entity: 'User', computation: 'sql', columns: [], state: 'fresh' } as const
    nodes.push({ ...feature, columns: [], id: `feature:f${i}`, reads_per_second: null, place })
    edge('source:events', `feature:f${i}`)
  }
  for (let s = 0; s < sets; s++) {
    nodes.push({ id: `set:s${s}`, kind: 'set', name: `s${s}`, state: 'fresh', features: [], reads_per_second: null, place })
    const own = sets - 1 - s
    for (let i = own; i < features; i += sets) edge(`feature:f${i}`, `set:s${s}`)
  }
  return { nodes, edges }
}

test.each([40, 600])('of %i features none stands on another, and those of a set stand together', async (features) => {
  const { nodes, edges } = lineageOf(features, 4)
  const drawn = await layOut({ nodes: [...nodes], edges: [...edges], now: '', coverage: { processes: 1, of: 1 } })
  expect(drawn.nodes.size).toBe(nodes.length)
  expect(drawn.edges).toHaveLength(edges.length)
  expect(drawn.columns.map(({ title }) => title)).toEqual(['sources, rows, newest', 'features of sources', 'sets, worst state'])
  const spots = [...drawn.nodes.values()].map(({ x, y }) => `${x} ${y}`)
  expect(new Set(spots).size).toBe(spots.length)
  const wide = await layOut({ nodes: [...nodes], edges: [...edges], now: '', coverage: { processes: 1, of: 1 } }, 800)
  expect(drawn.width).toBeLessThan(800)
  expect(wide.width).toBe(800)
  const heightOf = (name: string) => drawn.nodes.get(`feature:${name}`)?.y ?? 0
  const inOrder = nodes.filter(({ kind }) => kind === 'feature').sort((a, b) => heightOf(a.name) - heightOf(b.name))
  const changes = inOrder.filter(({ name }, i) => i > 0 && Number(name.slice(1)) % 4 !== Number(inOrder[i - 1]?.name.slice(1)) % 4)
  expect(changes).toHaveLength(3)
})
