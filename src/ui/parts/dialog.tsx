import type { Signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Over the page, until it is closed by `esc`, a click beside it or by what is done in it. */
export function Dialog({ label, isOpen, children }: { label: string; isOpen: Signal<boolean>; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (isOpen.value) element.current?.showModal()
    else element.current?.close()
  }, [isOpen.value])
  if (!isOpen.value) return null
  const close = () => {
    isOpen.value = false
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the browser closes a dialog by esc.
    <dialog ref={element} class="pal" aria-label={label} onClose={close} onClick={(event) => event.target === element.current && close()}>
      {children}
    </dialog>
  )
}
