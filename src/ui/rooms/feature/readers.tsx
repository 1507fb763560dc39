/** What the feature reads and who reads it. */
import type { Lineage, LineageNode } from '../../../http/wire.ts'
import { href } from '../../core/address.ts'
import { useData } from '../../core/data.ts'
import { rate } from '../../core/words.ts'
import { Note, Waiting } from '../../parts/note.tsx'
import { Ago } from '../../parts/time.tsx'

export function Readers({ feature }: { feature: string }) {
  const lineage = useData<Lineage>(`/v1/lineage?feature=${encodeURIComponent(feature)}`, 30_000)
  return (
    <section aria-labelledby="readers">
      <div class="sec">
        <h2 id="readers">Reads and readers</h2>
        <span class="right small">
          <a href={href(['lineage'], { at: `feature:${feature}` })}>lineage</a>
        </span>
      </div>
      {lineage.value ? <Lists of={lineage.value} id={`feature:${feature}`} /> : <Waiting on={lineage} />}
    </section>
  )
}

interface Reader {
  readonly node: LineageNode
  readonly way: 'reads' | 'read by'
  readonly perSecond: number | null
}

function Lists({ of, id }: { of: Lineage; id: string }) {
  const nodes = new Map(of.nodes.map((node) => [node.id, node]))
  const rows = of.edges.flatMap(({ from, to, reads_per_second: perSecond }): Reader[] => {
    const node = nodes.get(to === id ? from : to)
    if (!node || (from !== id && to !== id)) return []
    return [{ node, way: to === id ? 'reads' : 'read by', perSecond }]
  })
  if (rows.length === 0) return <Note title="It reads nothing, and nothing reads it." />
  return (
    <table aria-label="what it reads and who reads it">
      <tbody>
        {rows.map(({ node, way, perSecond }, i) => (
          <tr key={way + node.id}>
            <td class="w8 soft">{rows[i - 1]?.way === way ? <span class="hide">{way}</span> : way}</td>
            <td class="mono w24">
              <NodeLink of={node} />
            </td>
            <td class="soft p1">{nodeWords(node)}</td>
            <td class="num w14">
              {node.kind === 'source' ? <Newest of={node.newest_row_at} /> : perSecond === null ? '' : `${rate(perSecond)} /s`}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Newest({ of }: { of: string | null }) {
  if (of === null) return null
  return <Ago of={of} short />
}

function NodeLink({ of }: { of: LineageNode }) {
  if (of.kind === 'feature') return <a href={href(['features', of.name])}>{of.name}</a>
  if (of.kind === 'set') return <a href={href(['catalogue'], { set: of.name })}>{of.name}</a>
  return of.kind === 'source' ? <a href={href(['lineage'], { at: of.id })}>{of.name}</a> : <span>{of.name}</span>
}

function nodeWords(of: LineageNode): string {
  switch (of.kind) {
    case 'source':
      return of.newest_row_at === null ? 'source' : 'source, newest row'
    case 'feature':
      return of.computation === 'sql' ? 'SQL' : of.computation
    case 'set':
      return `set of ${of.features.length}`
    case 'key':
      return 'API key'
  }
}
