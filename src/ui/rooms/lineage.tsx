/** Sources → features → sets, left to right; the list beside the picture says the same for the keyboard. */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { Lineage, LineageNode, State } from '../../http/wire.ts'
import { href, place, setQuery } from '../core/address.ts'
import { useData } from '../core/data.ts'
import { type Drawn, layOut, litFrom } from '../core/graph.ts'
import { ageOf } from '../core/now.ts'
import { plural, roughly } from '../core/words.ts'
import { CopyAs } from '../parts/copy.tsx'
import { Mark } from '../parts/mark.tsx'
import { Note, OldNote, Waiting } from '../parts/note.tsx'

export function LineagePage() {
  const lineage = useData<Lineage>('/v1/lineage', 30_000)
  return (
    <>
      <div class="head">
        <h1 class="hide">Lineage</h1>
        <p>
          {lineage.value && words(lineage.value)}{' '}
          <span class="only-wide">A mark is the state now; hover or focus lights what leads here and what follows.</span>
        </p>
        <div class="acts">
          <CopyAs path="/v1/lineage" cli="fabra list --json" />
        </div>
      </div>
      <OldNote on={lineage} />
      {lineage.value ? <Shown of={lineage.value} /> : <Waiting on={lineage} />}
    </>
  )
}

function words({ nodes }: Lineage): string {
  const of = (kind: LineageNode['kind']) => nodes.filter((node) => node.kind === kind).length
  return `${plural(of('source'), 'source')}, ${plural(of('feature'), 'feature')}, ${plural(of('set'), 'set')}.`
}

function Shown({ of }: { of: Lineage }) {
  const drawn = useSignal<Drawn | null>(null)
  const box = useRef<HTMLDivElement>(null)
  const hovered = useSignal<string | null>(null)
  const chosen = place.value.query.get('at')
  const shape = of.nodes.map(({ id }) => id).join() + of.edges.map(({ from, to }) => from + to).join()
  useEffect(() => {
    void layOut(of, (box.current?.clientWidth ?? 0) - 16).then((found) => {
      drawn.value = found
    })
  }, [shape])
  const at = hovered.value ?? chosen
  const lit = at === null ? null : litFrom(at, of.edges)
  const light = (id: string | null) => {
    hovered.value = id
  }
  if (of.nodes.length === 0) return <Note title="Nothing is defined yet." command="fabra init shop" />
  return (
    <div class="cols tail">
      <div class="only-wide graph-box" ref={box}>
        {drawn.value && <Graph of={of} drawn={drawn.value} lit={lit} at={at} onLight={light} />}
      </div>
      <section class="flush8">
        <h2>The same as a list</h2>
        <List of={of} at={at} onLight={light} />
      </section>
    </div>
  )
}

interface GraphProps {
  readonly of: Lineage
  readonly drawn: Drawn
  readonly lit: ReadonlySet<string> | null
  readonly at: string | null
  readonly onLight: (id: string | null) => void
}

function Graph({ of, drawn, lit, at, onLight }: GraphProps) {
  return (
    <svg
      class={`graph${lit ? ' lit' : ''}`}
      viewBox={`-8 -32 ${drawn.width + 16} ${drawn.height + 48}`}
      width={drawn.width + 16}
      height={drawn.height + 48}
      role="group"
      aria-label="lineage"
    >
      {drawn.columns.map(({ x, title }) => (
        <text key={title} x={x} y={-16}>
          {title}
        </text>
      ))}
      {drawn.edges.map(({ from, to, path }) => (
        <path key={`${from} ${to}`} class={lit?.has(from) && lit.has(to) ? 'lit' : ''} d={path} />
      ))}
      {of.nodes.map((node) => {
        const spot = drawn.nodes.get(node.id)
        if (!spot) return null
        return (
          // biome-ignore lint/a11y/noStaticElementInteractions: the list beside the picture says the same, and takes the focus.
          <g
            key={node.id}
            class={`${lit?.has(node.id) ? 'lit' : ''}${at === node.id ? ' src' : ''}`}
            transform={`translate(${spot.x} ${spot.y})`}
            onPointerEnter={() => onLight(node.id)}
            onPointerLeave={() => onLight(null)}
            onClick={() => setQuery({ at: node.id })}
          >
            <Spot state={stateOf(node)} />
            <text x={12} y={4}>
              {node.name}
            </text>
            {node.kind === 'source' && (
              <text class="age" x={12} y={18}>
                {sourceWords(node)}
              </text>
            )}
          </g>
        )
      })}
    </svg>
  )
}

function stateOf(node: LineageNode): State | null {
  return node.kind === 'feature' || node.kind === 'set' ? node.state : null
}

/** The marks once more, as SVG: shape first. */
function Spot({ state }: { state: State | null }) {
  const word = <title>{state ?? 'source'}</title>
  switch (state) {
    case 'error':
      return (
        <path class="e" d="M2-5 7.5 5h-11z">
          {word}
        </path>
      )
    case 'stale':
      return (
        <>
          <circle class="s" cx={2} r={4}>
            {word}
          </circle>
          <path class="f" d="M2-4a4 4 0 0 0 0 8z" />
        </>
      )
    case 'missing':
      return (
        <circle class="n" cx={2} r={4}>
          {word}
        </circle>
      )
    case 'default':
      return (
        <path class="d" d="M2-4.5 6.5 0 2 4.5-2.5 0z">
          {word}
        </path>
      )
    case 'fresh':
      return (
        <circle class="o" cx={2} r={3.5}>
          {word}
        </circle>
      )
    default:
      return (
        <path class="q" d="M-1.5-3.5h7v7h-7z">
          {word}
        </path>
      )
  }
}

function sourceWords({ rows, newest_row_at }: Extract<LineageNode, { kind: 'source' }>): string {
  const parts = [rows === null ? null : plural(rows, 'row'), newest_row_at === null ? null : roughly(ageOf(newest_row_at))]
  return parts.filter((part) => part !== null).join(', ')
}

const KINDS: readonly LineageNode['kind'][] = ['set', 'feature', 'source', 'key']

/** Of a node's neighbours: a source may have hundreds, which have lines of their own. */
const MOST_NAMED = 40

function List({ of, at, onLight }: { of: Lineage; at: string | null; onLight: (id: string | null) => void }) {
  const names = new Map(of.nodes.map(({ id, name }) => [id, name]))
  const named = (ids: readonly string[]) => {
    const more = ids.length > MOST_NAMED ? `, and ${plural(ids.length - MOST_NAMED, 'more', 'more')}` : ''
    return (
      ids
        .slice(0, MOST_NAMED)
        .map((id) => names.get(id) ?? id)
        .join(', ') + more
    )
  }
  const [before, after] = [Map.groupBy(of.edges, ({ to }) => to), Map.groupBy(of.edges, ({ from }) => from)]
  const ordered = of.nodes.toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind))
  return (
    <ul class="paths">
      {ordered.map((node) => {
        const from = named((before.get(node.id) ?? []).map((edge) => edge.from))
        const to = named((after.get(node.id) ?? []).map((edge) => edge.to))
        const state = stateOf(node)
        return (
          <li key={node.id} class={at === node.id ? 'at' : ''}>
            <Mark of={state ?? 'none'} word={state ?? node.kind} />{' '}
            <a class="mono" href={linkOf(node)} onFocus={() => onLight(node.id)} onBlur={() => onLight(null)}>
              {node.name}
            </a>{' '}
            <span class="soft">{node.kind === 'source' ? sourceWords(node) : ''}</span>
            {from && <p>from {from}</p>}
            {to && <p>to {to}</p>}
          </li>
        )
      })}
    </ul>
  )
}

function linkOf(node: LineageNode): string {
  if (node.kind === 'feature') return href(['features', node.name])
  return node.kind === 'set' ? href(['catalogue'], { set: node.name }) : href(['lineage'], { at: node.id })
}
