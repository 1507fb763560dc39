import { useEffect, useRef } from 'preact/hooks'
import { href, place } from '../core/address.ts'
import { useGlance } from '../core/glance.ts'
import { openHelp, openPalette } from '../core/keys.ts'
import { coverageWord, key, me, signOut } from '../core/session.ts'
import { theme, turnTheme } from '../core/theme.ts'
import { plural } from '../core/words.ts'
import { Counts } from './mark.tsx'

export const ROOMS: readonly [room: string, title: string][] = [
  ['', 'Overview'],
  ['catalogue', 'Catalogue'],
  ['entities', 'Entities'],
  ['runs', 'Runs'],
  ['lineage', 'Lineage'],
  ['training', 'Training'],
  ['live', 'Live'],
  ['api', 'API'],
]

export function Head() {
  const counts = useGlance().value?.features
  const total = counts ? Object.values(counts).reduce((sum, count) => sum + count, 0) : null
  return (
    <header class="top">
      <div class="bar">
        <a class="brand" href={href([])}>
          fabra
          <span class="soft">
            {me.value?.project ?? ''}
            {me.value ? ` · ${me.value.mode}` : ''}
          </span>
        </a>
        {coverageWord() && (
          <span
            class="soft only-wide"
            title="Each process tells the others what it reads every five seconds. Histograms of values and the live traffic are of the process that answers."
          >
            figures of {coverageWord()}
          </span>
        )}
        <button class="find" aria-keyshortcuts="/ Meta+K Control+K" onClick={openPalette}>
          <span>
            find<span class="only-wide"> anything</span>
          </span>
          <kbd>⌘K</kbd>
        </button>
        {counts && (
          <span class="counts">
            <span class="soft all">{plural(total ?? 0, 'feature')}</span>
            <Counts of={counts} links />
          </span>
        )}
      </div>
      <div class="bar nav">
        <Rooms />
        <span class="right">
          {key.value !== null && (
            <button class="plain soft" onClick={signOut} title="forgets the key of this tab">
              {me.value?.key?.name ?? 'key'}: sign out
            </button>
          )}
          <button class="plain soft" aria-keyshortcuts="t" onClick={turnTheme}>
            {theme.value === 'dark' ? 'light' : 'dark'}
          </button>
          <button class="plain soft" aria-label="keys" aria-keyshortcuts="?" onClick={openHelp}>
            ?
          </button>
        </span>
      </div>
    </header>
  )
}

/** Of the room beside the present one: enough to show that there is one. */
const NEXT_SEEN = 40

function Rooms() {
  const [room = ''] = place.value.parts
  const present = room === 'features' ? 'catalogue' : room
  const nav = useRef<HTMLElement>(null)
  // On a phone the bar is longer than the screen: where one is must be seen.
  useEffect(() => {
    const [bar, here] = [nav.current?.parentElement, nav.current?.querySelector<HTMLElement>('[aria-current]')]
    if (bar && here) bar.scrollLeft = Math.max(0, here.offsetLeft + here.offsetWidth - bar.clientWidth + NEXT_SEEN)
  }, [present])
  return (
    <nav ref={nav} aria-label="rooms">
      {ROOMS.map(([name, title]) => (
        <a key={name} href={href(name === '' ? [] : [name])} aria-current={name === present ? 'page' : undefined}>
          {title}
        </a>
      ))}
    </nav>
  )
}
