/** Keys that work on every page. Fields keep theirs; what only one page knows it adds while it is shown. */
import { signal } from '@preact/signals'
import { walk } from './rows.ts'
import { turnTheme } from './theme.ts'

export const isPaletteOpen = signal(false)
export const isHelpOpen = signal(false)

const further = new Map<string, (event: KeyboardEvent) => void>()

/** @returns what takes it away again. */
export function onKey(key: string, act: (event: KeyboardEvent) => void): () => void {
  further.set(key, act)
  return () => {
    if (further.get(key) === act) further.delete(key)
  }
}

const COMMON: Readonly<Record<string, () => void>> = {
  '/': () => openPalette(),
  j: () => walk(1),
  k: () => walk(-1),
  t: turnTheme,
  '?': () => {
    isHelpOpen.value = true
  },
}

function openPalette(): void {
  isPaletteOpen.value = true
}

export function listenToKeys(): void {
  addEventListener('keydown', (event) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      openPalette()
      return
    }
    const isTyping = event.target instanceof Element && event.target.closest('input:not([type=range]), textarea, select, dialog')
    if (isTyping || event.metaKey || event.ctrlKey || event.altKey) return
    const act = further.get(event.key) ?? COMMON[event.key]
    if (!act) return
    event.preventDefault()
    act(event)
  })
}
