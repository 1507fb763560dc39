/** Where the page is. Its files lie in /ui/assets/ and the API beside /ui, whatever path a proxy puts before both. */
import { signal } from '@preact/signals'

/** `/ui/`, and what stands before it. */
const UI = new URL('..', import.meta.url).pathname
/** `/`: what the API's paths follow. */
export const API = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')

export interface PageAddress {
  /** Parts of the path behind /ui/, decoded: `['features', 'spend']`. */
  readonly parts: readonly string[]
  readonly query: URLSearchParams
}

export const place = signal<PageAddress>(read())

function read(): PageAddress {
  const rest = location.pathname.startsWith(UI) ? location.pathname.slice(UI.length) : ''
  return { parts: rest.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(location.search) }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

type Query = Readonly<Record<string, string | null | undefined>>

/** Address of a room: `href(['features', name], { window: '24h' })`. Nulls are left out. */
export function href(parts: readonly string[], query: Query = {}): string {
  return UI + parts.map(encodeURIComponent).join('/') + searchOf(query)
}

function searchOf(query: Query): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== '') search.set(name, value)
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}

export function go(address: string): void {
  history.pushState(null, '', address)
  place.value = read()
  scrollTo(0, 0)
}

/** Changes the query of the present page, so that its state can be sent to others. The way back stays short: nothing is added to it. */
export function setQuery(changes: Query): void {
  const present = Object.fromEntries(place.value.query)
  history.replaceState(null, '', location.pathname + searchOf({ ...present, ...changes }))
  place.value = read()
}

/** Links inside of the page change its place instead of loading it anew. */
export function followLinks(): void {
  addEventListener('popstate', () => {
    place.value = read()
  })
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    if (!link || !isPlain || event.defaultPrevented || link.target !== '' || link.hasAttribute('download')) return
    if (link.origin !== location.origin || !link.pathname.startsWith(UI) || link.getAttribute('href')?.startsWith('#')) return
    event.preventDefault()
    go(link.href)
  })
}
