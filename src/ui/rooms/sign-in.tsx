import { useSignal } from '@preact/signals'
import type { Me } from '../../http/wire.ts'
import { ask, Failure } from '../core/ask.ts'
import { key, takeKey } from '../core/session.ts'
import { Mark } from '../parts/mark.tsx'

/** @param onOpen With what the server says of the key. */
export function SignIn({ onOpen }: { onOpen: (me: Me) => void }) {
  const given = useSignal('')
  const failure = useSignal<Failure | null>(null)
  const isAsking = useSignal(false)
  const open = async (event: Event) => {
    event.preventDefault()
    if (given.value.trim() === '') return
    isAsking.value = true
    takeKey(given.value.trim())
    try {
      onOpen(await ask<Me>('/v1/me'))
    } catch (error) {
      key.value = null
      sessionStorage.removeItem('fabra.key')
      failure.value = error instanceof Failure ? error : null
    }
    isAsking.value = false
  }
  return (
    <main id="main">
      <form class="sign" onSubmit={(event) => void open(event)}>
        <h1 class="brand">fabra</h1>
        <label for="key">API key</label>
        <div class="row">
          <input
            id="key"
            type="password"
            class="mono"
            placeholder="fab_…"
            autocomplete="off"
            aria-describedby="kept"
            value={given.value}
            onInput={(event) => {
              given.value = event.currentTarget.value
            }}
          />
          <button class="main" type="submit" disabled={isAsking.value}>
            open
          </button>
        </div>
        <p class="prose flush8" id="kept">
          Kept in this tab until it closes, sent as a header, never in an address. No key? Who runs Fabra makes one:
        </p>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and keys must reach it. */}
        <pre class="code" tabIndex={0}>
          fabra keys create --name you --scopes read
        </pre>
        {failure.value && (
          <div class="note error flush" role="alert">
            <p>
              <Mark of="error" /> <b>{failure.value.code}</b> {failure.value.message}
            </p>
          </div>
        )}
      </form>
    </main>
  )
}
