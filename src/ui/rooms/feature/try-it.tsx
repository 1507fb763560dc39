import { useSignal } from '@preact/signals'
import { href } from '../../core/address.ts'
import { ask, Failure } from '../../core/ask.ts'
import type { ListedFeature } from '../../core/catalogue.ts'
import { refreshData, useData } from '../../core/data.ts'
import { took } from '../../core/words.ts'
import { CopyAs } from '../../parts/copy.tsx'
import { FailureNote } from '../../parts/note.tsx'

interface EntityJson {
  readonly name: string
  readonly key: Readonly<Record<string, string>>
}

export function useKeyColumns(entity: string): readonly string[] {
  const entities = useData<{ entities: EntityJson[] }>('/v1/entities', null).value?.entities
  return Object.keys(entities?.find(({ name }) => name === entity)?.key ?? {})
}

/** Reads the feature now, with a real key; it counts as a read. */
export function TryIt({ name, feature }: { name: string; feature: ListedFeature }) {
  const columns = [...useKeyColumns(feature.entity), ...Object.keys(feature.inputs)]
  const given = useSignal<Readonly<Record<string, string>>>({})
  const answer = useSignal<{ text: string; ms: number } | null>(null)
  const failure = useSignal<Failure | null>(null)
  const query = new URLSearchParams(Object.entries(given.value).filter(([, value]) => value !== ''))
  const path = `/v1/features/${encodeURIComponent(name)}?${query}`
  const read = async (event: Event) => {
    event.preventDefault()
    const began = performance.now()
    try {
      const body = await ask<unknown>(path)
      answer.value = { text: JSON.stringify(body, null, 1), ms: performance.now() - began }
      failure.value = null
      refreshData('/v1/features')
    } catch (error) {
      failure.value = error instanceof Failure ? error : null
      answer.value = null
    }
  }
  const [first] = columns
  const id = first === undefined ? undefined : given.value[first]
  return (
    <section aria-labelledby="try">
      <div class="sec">
        <h2 id="try">Try it</h2>
        <span class="small">reads now, counts as a read</span>
        <span class="acts">
          <CopyAs path={path} cli={`fabra get ${name} ${Object.values(given.value).join(' ') || '<id>'}`} />
        </span>
      </div>
      <form class="pills flush8" onSubmit={(event) => void read(event)}>
        {[...columns, 'max_age'].map((column) => (
          <label key={column}>
            <span class="mono">{column}</span>{' '}
            <input
              size={10}
              placeholder={column === 'max_age' ? 'none' : ''}
              value={given.value[column] ?? ''}
              onInput={(event) => {
                given.value = { ...given.value, [column]: event.currentTarget.value }
              }}
            />
          </label>
        ))}
        <button type="submit">read</button>
        {answer.value && <span class="soft">{took(answer.value.ms)} with the way here</span>}
        {answer.value && id && columns.length === 1 && <a href={href(['entities', feature.entity, id])}>all of {id}</a>}
      </form>
      {failure.value && <FailureNote of={failure.value} />}
      {answer.value && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and keys must reach it.
        <pre class="code" tabIndex={0} role="region" aria-label="answer">
          {answer.value.text}
        </pre>
      )}
    </section>
  )
}
