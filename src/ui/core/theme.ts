/** Light or dark: as the system says, unless it was chosen here. */
import { signal } from '@preact/signals'

export type Theme = 'light' | 'dark'
const KEPT = 'fabra.theme'
const system = matchMedia('(prefers-color-scheme: dark)')

export const theme = signal<Theme>(read())

function read(): Theme {
  const { theme: chosen } = document.documentElement.dataset
  if (chosen === 'light' || chosen === 'dark') return chosen
  return system.matches ? 'dark' : 'light'
}

system.addEventListener('change', () => {
  theme.value = read()
})

export function turnTheme(): void {
  const next = theme.value === 'dark' ? 'light' : 'dark'
  document.documentElement.dataset['theme'] = next
  localStorage.setItem(KEPT, next)
  theme.value = next
}
