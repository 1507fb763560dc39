/** Time under the cursor: every chart of a group shows the same moment. */
import { type Signal, useSignal } from '@preact/signals'
import { type ComponentChildren, createContext } from 'preact'
import { useContext } from 'preact/hooks'

/** Share of the group's time, 0 to 1; null: the cursor is elsewhere. */
const Cursor = createContext<Signal<number | null> | null>(null)

export function CursorGroup({ children, cls = '' }: { children: ComponentChildren; cls?: string }) {
  const at = useSignal<number | null>(null)
  const look = (event: PointerEvent) => {
    const chart = event.target instanceof Element ? event.target.closest('[data-time]') : null
    if (!chart) return
    const { left, width } = chart.getBoundingClientRect()
    at.value = Math.min(1, Math.max(0, (event.clientX - left) / width))
  }
  return (
    <Cursor.Provider value={at}>
      <div
        class={cls}
        onPointerMove={look}
        onPointerLeave={() => {
          at.value = null
        }}
      >
        {children}
      </div>
    </Cursor.Provider>
  )
}

export function useCursor(): number | null {
  return useContext(Cursor)?.value ?? null
}

/** The value of a series under the cursor, and how long ago that was; null without a cursor or a value. */
export function underCursor(
  values: readonly (number | null)[],
  cursor: number | null,
  spanMs: number,
): { value: number; agoMs: number; index: number } | null {
  if (cursor === null || values.length === 0) return null
  const index = Math.round(cursor * (values.length - 1))
  const value = values[index] ?? null
  return value === null ? null : { value, agoMs: (1 - cursor) * spanMs, index }
}
