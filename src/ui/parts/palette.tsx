/** Finds anything by a part of its name: features, their columns, sources, sets, pages, and `User u1`. */
import { useSignal } from '@preact/signals'
import { useLayoutEffect } from 'preact/hooks'
import { go, href } from '../core/address.ts'
import { columnRows, shapeOf, useCatalogue } from '../core/catalogue.ts'
import { type Shown, useData } from '../core/data.ts'
import { isPaletteOpen } from '../core/keys.ts'
import { Dialog } from './dialog.tsx'
import { ROOMS } from './head.tsx'
import { Mark, type Shape } from './mark.tsx'

interface Found {
  readonly name: string
  readonly kind: string
  readonly to: string
  readonly shape: Shape
}

const MOST = 12

export function Palette() {
  return (
    <Dialog label="find anything" isOpen={isPaletteOpen}>
      <Search />
    </Dialog>
  )
}

function Search() {
  const text = useSignal('')
  const picked = useSignal(0)
  const places = usePlaces()
  // Enter was pressed before everything that can be found was here: what is meant may be among what is yet to come.
  const isEntered = useSignal(false)
  const found = matching(places, text.value)
  const index = Math.min(picked.value, Math.max(0, found.length - 1))
  const open = (one: Found | undefined) => {
    if (!one) return
    isPaletteOpen.value = false
    go(one.to)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step !== 0) {
      event.preventDefault()
      picked.value = Math.max(0, Math.min(found.length - 1, index + step))
    }
    if (event.key !== 'Enter' || event.isComposing) return
    if (places.isWhole) open(found[index])
    else isEntered.value = true
  }
  useLayoutEffect(() => {
    if (!isEntered.value || !places.isWhole) return
    isEntered.value = false
    open(found[index])
  }, [places.isWhole])
  return (
    <>
      <input
        autofocus
        role="combobox"
        aria-label="find"
        aria-expanded="true"
        aria-controls="found"
        aria-activedescendant={found.length > 0 ? `found-${index}` : undefined}
        placeholder="feature, column, source, set, page, or “User u1”"
        autocomplete="off"
        spellcheck={false}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value
          picked.value = 0
          isEntered.value = false
        }}
        onKeyDown={onKeyDown}
      />
      <Results of={found} index={index} onOpen={open} />
      <SearchNotice of={places} text={text.value} isEmpty={found.length === 0} />
    </>
  )
}

function Results({ of, index, onOpen }: { of: readonly Found[]; index: number; onOpen: (one: Found) => void }) {
  return (
    <ul id="found" role="listbox" aria-label="found">
      {of.map((one, i) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the field above walks the list.
        <li key={one.kind + one.name} id={`found-${i}`} role="option" tabIndex={-1} aria-selected={i === index} onClick={() => onOpen(one)}>
          <Mark of={one.shape} word={one.shape === 'none' ? '' : one.shape} />
          <span class="mono">{one.name}</span>
          <span>{one.kind}</span>
        </li>
      ))}
    </ul>
  )
}

function SearchNotice({ of: { isWhole, failure }, text, isEmpty }: { of: ReturnType<typeof usePlaces>; text: string; isEmpty: boolean }) {
  return (
    <>
      {isEmpty && <p class="pad">{isWhole ? `Nothing is called “${text}”.` : 'looking …'}</p>}
      {failure && (
        <p class="pad soft" role="status">
          Not everything could be asked for: {failure.message}
        </p>
      )}
      <footer>
        <span>↑ ↓ walk</span>
        <span>enter opens</span>
        <span>esc closes</span>
      </footer>
    </>
  )
}

interface Named {
  readonly name: string
}

function usePlaces() {
  const catalogue = useCatalogue()
  const kinds = useData<{ entities: Named[] }>('/v1/entities', null)
  const tables = useData<{ sources: Named[] }>('/v1/sources', null)
  const groups = useData<{ feature_sets: (Named & { features: string[] })[] }>('/v1/feature-sets', null)
  const all: readonly Shown<unknown>[] = [catalogue, kinds, tables, groups]
  const features = catalogue.value?.features
  const sources = tables.value?.sources
  const sets = groups.value?.feature_sets
  const places: Found[] = [
    ...ROOMS.map(([room, title]): Found => ({ name: title, kind: 'page', to: href(room === '' ? [] : [room]), shape: 'none' })),
    ...columnRows(features ?? []).map(
      ({ name, feature }): Found => ({ name, kind: `feature of ${feature.entity}`, to: href(['features', name]), shape: shapeOf(feature) }),
    ),
    ...(sets ?? []).map(
      ({ name, features: members }): Found => ({
        name,
        kind: `set of ${members.length}`,
        to: href(['catalogue'], { set: name }),
        shape: 'none',
      }),
    ),
    ...(sources ?? []).map(({ name }): Found => ({ name, kind: 'source', to: href(['lineage'], { at: `source:${name}` }), shape: 'none' })),
  ]
  return {
    places,
    entities: kinds.value?.entities ?? [],
    isWhole: all.every(({ value, failure }) => value !== undefined || failure !== null),
    failure: all.find(({ value, failure }) => value === undefined && failure !== null && failure.status !== 403)?.failure ?? null,
  }
}

function matching({ places, entities }: Pick<ReturnType<typeof usePlaces>, 'places' | 'entities'>, text: string): Found[] {
  const wanted = text.trim().toLowerCase()
  const words = wanted.split(/\s+/)
  const rank = ({ name, kind }: Found) => {
    const low = name.toLowerCase()
    if (low === wanted) return 0
    if (low.startsWith(wanted)) return 1
    if (low.includes(wanted)) return 2
    return words.every((word) => `${low} ${kind}`.includes(word)) ? 3 : 9
  }
  const found = places
    .map((one) => ({ one, rank: rank(one) }))
    .filter((ranked) => ranked.rank < 9)
    .sort((a, b) => a.rank - b.rank)
    .map(({ one }) => one)
  return [...keysOf(entities, text), ...found].slice(0, MOST)
}

/** `User u1` is a key of an entity; a name of one alone waits for the key. */
function keysOf(entities: readonly Named[], text: string): Found[] {
  const [, word = '', id] = /^\s*(\S+)(?:\s+(\S.*?))?\s*$/.exec(text) ?? []
  const named = entities.filter(({ name }) => word !== '' && name.toLowerCase().startsWith(word.toLowerCase()))
  return named.map(({ name }) =>
    id === undefined
      ? { name: `${name} …`, kind: 'entity: go on typing a key', to: href(['entities', name]), shape: 'none' as const }
      : { name: `${name} ${id}`, kind: 'entity', to: href(['entities', name, id]), shape: 'none' as const },
  )
}
