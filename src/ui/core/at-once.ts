/** Draws a change at once instead of in a moment: where the next key that is pressed, or the focus, must find what it shows. */
import { options } from 'preact'

export function atOnce(change: () => void): void {
  const { debounceRendering } = options
  options.debounceRendering = (draw) => draw()
  try {
    change()
  } finally {
    if (debounceRendering) options.debounceRendering = debounceRendering
    else delete options.debounceRendering
  }
}
