/** Copying, and what tells of it. */
import { signal } from '@preact/signals'
import { API } from '../core/address.ts'
import { key } from '../core/session.ts'

const SHOWN_MS = 2_000
const said = signal<string | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined

/** Of results alone; an error that needs an answer stands on the page. */
export function say(text: string): void {
  said.value = text
  clearTimeout(timer)
  timer = setTimeout(hush, SHOWN_MS)
}

function hush(): void {
  said.value = null
}

export function Toast() {
  return <div role="status">{said.value !== null && <div class="toast">{said.value}</div>}</div>
}

export function copy(text: string, what = 'Copied'): void {
  // Browsers have a clipboard for pages of this machine and of https alone.
  const done = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'))
  done.then(
    () => say(what),
    () => say('Not copied: the browser refuses'),
  )
}

export interface CopiedRequest {
  readonly path: string
  readonly cli: string
}

/** Four ways to ask for exactly what is shown. The key is named, never written out. */
export function CopyAs({ path, cli }: CopiedRequest) {
  const url = `${location.origin}${API}${path}`
  const ways: readonly [name: string, text: string][] = [
    ['curl', curlText(url)],
    ['CLI', cli],
    ['Python', pythonText(url)],
    ['TypeScript', scriptText(url)],
  ]
  const closed = (event: Event) => (event.currentTarget as Element).closest('details')?.removeAttribute('open')
  return (
    <>
      <details class="menu">
        <summary class="btn">copy as</summary>
        <div>
          {ways.map(([name, text]) => (
            <button
              key={name}
              onClick={(event) => {
                copy(text, `Copied as ${name}`)
                closed(event)
              }}
            >
              {name}
              <code>{text}</code>
            </button>
          ))}
        </div>
      </details>
      <JsonLink path={path} />
    </>
  )
}

/** The answer itself. Where keys are asked for an address alone does not show it: it is fetched with the key and shown as a file of this page. */
function JsonLink({ path }: { path: string }) {
  const show = async (event: Event) => {
    if (key.value === null) return
    event.preventDefault()
    const { send } = await import('../core/ask.ts')
    const text = await (await send(path)).text()
    open(URL.createObjectURL(new Blob([text], { type: 'application/json' })), '_blank', 'noopener')
  }
  return (
    <a class="btn" href={API + path} target="_blank" rel="noreferrer" onClick={(event) => void show(event)}>
      JSON
    </a>
  )
}

function curlText(url: string): string {
  const header = key.value === null ? '' : ' -H "Authorization: Bearer $FABRA_API_KEY"'
  return `curl${header} '${url.replaceAll("'", '%27')}'`
}

function pythonText(url: string): string {
  const address = JSON.stringify(url)
  const asked =
    key.value === null ? address : `urllib.request.Request(${address}, headers={"Authorization": "Bearer " + os.environ["FABRA_API_KEY"]})`
  return `import json, os, urllib.request\nprint(json.load(urllib.request.urlopen(${asked})))`
}

function scriptText(url: string): string {
  const init = key.value === null ? '' : ", { headers: { authorization: 'Bearer ' + process.env.FABRA_API_KEY } }"
  return `console.log(await (await fetch(${JSON.stringify(url)}${init})).json())`
}
