import type { Signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { atOnce } from '../core/at-once.ts'

/**
 * Over the page, until it is closed by `esc`, a click beside it or by what is done in it. It opens and closes within the event that asks for it: keys
 * that come in a burst are for what is seen when they are pressed.
 */
export function Dialog({ label, isOpen, children }: { label: string; isOpen: Signal<boolean>; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => element.current?.showModal(), [isOpen.value])
  if (!isOpen.value) return null
  const close = (event: Event) => {
    // The browser tells of a dialog that it closed a moment later, when another one may be open.
    if (event.currentTarget !== element.current) return
    // Brings the focus back to where it was.
    element.current?.close()
    atOnce(() => {
      isOpen.value = false
    })
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the browser closes a dialog by esc.
    <dialog
      ref={element}
      class="pal"
      aria-label={label}
      onCancel={close}
      onClose={close}
      onClick={(event) => event.target === element.current && close(event)}
    >
      {children}
    </dialog>
  )
}
