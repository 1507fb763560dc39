/** The API as its own description tells it, to read and to try. */
import { useSignal } from '@preact/signals'
import { API, place, setQuery } from '../../core/address.ts'
import { send } from '../../core/ask.ts'
import { useData } from '../../core/data.ts'
import { took } from '../../core/words.ts'
import { CopyAs } from '../../parts/copy.tsx'
import { OldNote, Waiting } from '../../parts/note.tsx'
import { type OpenApi, type Operation, operationsOf, schemaText } from './openapi.ts'

export function ApiPage() {
  const description = useData<OpenApi>('/openapi.json', null)
  const wanted = (place.value.query.get('q') ?? '').toLowerCase()
  const all = description.value ? operationsOf(description.value) : []
  const shown = all.filter(({ method, path, summary }) => `${method} ${path} ${summary}`.toLowerCase().includes(wanted))
  const chosen = shown.find(({ id }) => id === place.value.query.get('op')) ?? shown[0]
  return (
    <>
      <div class="head">
        <h1 class="hide">API</h1>
        <input
          type="search"
          class="w32"
          placeholder="route or word"
          aria-label="filter routes"
          value={place.value.query.get('q') ?? ''}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
        />
        <span class="soft" role="status">
          {description.value && `${shown.length} of ${all.length} routes`}
        </span>
        <div class="acts">
          <CopyAs path="/openapi.json" cli="fabra list --json" />
        </div>
      </div>
      <OldNote on={description} />
      {description.value ? (
        <div class="cols api">
          <nav aria-label="routes" class="routes">
            <ul>
              {shown.map((operation) => (
                <li key={operation.id}>
                  <button aria-pressed={operation.id === chosen?.id} onClick={() => setQuery({ op: operation.id })}>
                    <b>{operation.method}</b> <span class="mono">{operation.path}</span>
                  </button>
                </li>
              ))}
            </ul>
          </nav>
          {chosen && <Shown key={chosen.id} of={chosen} api={description.value} />}
        </div>
      ) : (
        <Waiting on={description} />
      )}
    </>
  )
}

function Shown({ of, api }: { of: Operation; api: OpenApi }) {
  return (
    <section class="flush8" aria-labelledby="operation">
      <h2 id="operation">
        {of.method} <span class="mono">{of.path}</span>
      </h2>
      <p class="prose">{of.summary}</p>
      {of.parameters.length > 0 && (
        <table class="flush8" aria-label="parameters">
          <thead>
            <tr>
              <th scope="col" class="w20">
                name
              </th>
              <th scope="col" class="w12">
                in
              </th>
              <th scope="col">meaning</th>
            </tr>
          </thead>
          <tbody>
            {of.parameters.map(({ name, in: where, description = '' }) => (
              <tr key={where + name} class="tall">
                <td class="mono">{name}</td>
                <td class="soft">{where}</td>
                <td>{description}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {of.body !== null && <Shape title="body" text={schemaText(of.body, api)} />}
      <h3 class="flush">answers</h3>
      <table aria-label="answers">
        <tbody>
          {of.answers.map(({ status, description }) => (
            <tr key={status} class="tall">
              <td class="mono w9">{status}</td>
              <td>{description}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {of.answer !== null && <Shape title="answer" text={schemaText(of.answer, api)} />}
      {of.method === 'GET' && !/\/(docs|ui|events)\b|^\/$/.test(of.path) && <Try of={of} />}
    </section>
  )
}

function Shape({ title, text }: { title: string; text: string }) {
  return (
    <>
      <h3 class="flush">{title}</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and keys must reach it. */}
      <pre class="code" tabIndex={0} role="region" aria-label={title}>
        {text}
      </pre>
    </>
  )
}

/** Of looks alone: what changes something is done on its own page, or by command. */
function Try({ of }: { of: Operation }) {
  const given = useSignal<Readonly<Record<string, string>>>({})
  const answer = useSignal<{ status: string; text: string } | null>(null)
  const path = filled(of, given.value)
  const ask = async (event: Event) => {
    event.preventDefault()
    const began = performance.now()
    const response = await send(path).catch((error: unknown) => error)
    const time = took(performance.now() - began)
    if (response instanceof Response) {
      const text = await response.text()
      answer.value = { status: `${response.status}, ${time}`, text: pretty(text).slice(0, 20_000) }
    } else answer.value = { status: time, text: String(response) }
  }
  return (
    <section aria-labelledby="try">
      <div class="sec">
        <h2 id="try">Try it</h2>
        <span class="acts">
          <CopyAs path={path} cli={`curl '${API}${path}'`} />
        </span>
      </div>
      <form class="pills flush8" onSubmit={(event) => void ask(event)}>
        {of.parameters.map(({ name }) => (
          <label key={name}>
            <span class="mono">{name}</span>{' '}
            <input
              size={12}
              value={given.value[name] ?? ''}
              onInput={(event) => {
                given.value = { ...given.value, [name]: event.currentTarget.value }
              }}
            />
          </label>
        ))}
        <button type="submit">ask</button>
        <span class="soft">{answer.value?.status}</span>
      </form>
      {answer.value && <Shape title="answered" text={answer.value.text} />}
    </section>
  )
}

function filled({ path, parameters }: Operation, given: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams()
  for (const { name, in: where } of parameters) if (where === 'query' && given[name]) query.set(name, given[name])
  const text = query.toString()
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(given[name] ?? '')) + (text === '' ? '' : `?${text}`)
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 1)
  } catch {
    return text
  }
}
