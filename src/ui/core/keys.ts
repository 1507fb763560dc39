/** Keys that work on every page. Fields keep theirs; what only one page knows it adds while it is shown. */
import { signal } from '@preact/signals'
import { atOnce } from './at-once.ts'
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
  '?': () => openHelp(),
}

/** What is typed next is for the field of the palette, so that it must be there when this returns. */
export function openPalette(): void {
  atOnce(() => {
    isHelpOpen.value = false
    isPaletteOpen.value = true
  })
}

export function openHelp(): void {
  atOnce(() => {
    isHelpOpen.value = true
  })
}

/** Where the focus is beside the field, after a click into the palette, what is typed goes to the field all the same. */
function focusPalette({ target }: Event): void {
  if (!(target instanceof HTMLInputElement)) document.querySelector<HTMLElement>('dialog input')?.focus()
}

export function listenToKeys(): void {
  addEventListener('keydown', (event) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      openPalette()
      return
    }
    if (isPaletteOpen.value) {
      focusPalette(event)
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
