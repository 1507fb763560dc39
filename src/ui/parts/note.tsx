/** What is so, why, and what to do next: for parts that are empty, failed or not allowed. */
import type { ComponentChildren } from 'preact'
import type { Failure } from '../core/ask.ts'
import type { Shown } from '../core/data.ts'
import { seesWords, signOut } from '../core/session.ts'
import { age } from '../core/words.ts'
import { copy } from './copy.tsx'
import { Mark } from './mark.tsx'

export function Note({ title, children, command }: { title: ComponentChildren; children?: ComponentChildren; command?: string }) {
  return (
    <div class="note flush8">
      <p>
        <b>{title}</b>
      </p>
      {children && <p class="prose">{children}</p>}
      {command && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and keys must reach it.
        <pre class="code" tabIndex={0}>
          {command}
        </pre>
      )}
    </div>
  )
}

export function FailureNote({ of, again }: { of: Failure; again?: (() => void) | undefined }) {
  const sees = of.status === 403 ? seesWords() : null
  if (sees !== null) {
    return (
      <Note title="This key may not see this.">
        It sees {sees}, and what is here tells of more. Whoever runs Fabra can make a key that sees everything.
      </Note>
    )
  }
  if (of.status === 403) {
    const scope = /scope "(\w+)"/.exec(of.hint ?? '')?.[1] ?? 'admin'
    return (
      <Note title={of.message} command={`fabra keys create --name me --scopes ${scope}`}>
        This needs the scope {scope}. Ask who runs Fabra, or make such a key and <button onClick={signOut}>sign in with it</button>
      </Note>
    )
  }
  return (
    <div class="note error flush8" role="alert">
      <p>
        <Mark of="error" /> <b>{of.code}</b> {of.message}
      </p>
      {of.hint && <p class="prose">{of.hint}</p>}
      <p class="pills flush8">
        {again && <button onClick={again}>try now</button>}
        <button onClick={() => copy(`${of.code}: ${of.message}${of.requestId ? ` (request ${of.requestId})` : ''}`)}>
          copy for the log
        </button>
      </p>
    </div>
  )
}

/** What a part shows while its data is not there: space at first, the failure where there is one. */
export function Waiting({ on }: { on: Pick<Shown<unknown>, 'failure' | 'again'> }) {
  if (on.failure) return <FailureNote of={on.failure} again={on.again} />
  return (
    <div class="skel" aria-busy="true">
      <span class="hide">loading</span>
      {[320, 240, 280, 200].map((width) => (
        <p key={width}>
          <i style={{ width: `${width}px` }} />
        </p>
      ))}
    </div>
  )
}

/** Above data that could not be asked for again. */
export function OldNote({ on }: { on: Shown<unknown> }) {
  if (!on.failure || on.value === undefined) return null
  return (
    <p class="soft" role="status">
      <Mark of="running" word="waiting" /> {on.failure.message} What is shown is {age(Date.now() - on.heardAt)} old.{' '}
      <button class="plain" onClick={on.again}>
        try now
      </button>
    </p>
  )
}
