/** Beside the values of a key: to whom they were served last, the rows behind them, and how to forget it. */
import { useSignal } from '@preact/signals'
import type { EntityPage, EntityRead, State } from '../../../http/wire.ts'
import { href } from '../../core/address.ts'
import { ask, Failure } from '../../core/ask.ts'
import { refreshData } from '../../core/data.ts'
import { may, seesWords } from '../../core/session.ts'
import { number, took } from '../../core/words.ts'
import { say } from '../../parts/copy.tsx'
import { Mark, STATES } from '../../parts/mark.tsx'
import { FailureNote, Note } from '../../parts/note.tsx'
import { Ago } from '../../parts/time.tsx'

export function ServedLast({ of }: { of: EntityPage }) {
  const { last_reads: reads } = of
  const hasKeys = reads?.some(({ key }) => key !== null) ?? false
  return (
    <section class="flush" aria-labelledby="served">
      <div class="sec">
        <h2 id="served">Served last</h2>
        <span class="small">to whom, worst state</span>
      </div>
      {reads === null && <Note title="This key may not see who reads.">That needs the scope admin.</Note>}
      {(reads?.length === 0 || reads === undefined) && <Note title="Not read since the start." />}
      {reads && reads.length > 0 && (
        <table class="now-only" aria-label="last reads">
          <tbody>
            {reads.slice(0, 8).map((read) => (
              <tr key={read.at}>
                <td class="m1">
                  <Mark of={worst(read)} />
                </td>
                <td class="num w10">
                  <Ago of={read.at} />
                </td>
                {hasKeys && <td>{read.key ?? '–'}</td>}
                <td class="mono" title={read.asked_for.join(', ')}>
                  {read.asked_for.join(', ')}
                </td>
                <td class="num w9">{took(read.ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function worst({ states }: EntityRead): State {
  return STATES.find((state) => states[state] > 0) ?? 'fresh'
}

export function RowsBehind({ of }: { of: EntityPage }) {
  if (!of.sources || of.sources.length === 0) return null
  return (
    <section aria-labelledby="behind">
      <div class="sec">
        <h2 id="behind">Rows behind it</h2>
        <span class="small">in sources</span>
      </div>
      <table aria-label="rows in sources">
        <tbody>
          {of.sources.map(({ source, rows, rows_limit, newest_row_at }) => (
            <tr key={source}>
              <td class="mono">
                <a href={href(['lineage'], { at: `source:${source}` })}>{source}</a>
              </td>
              <td class="num w12">{rows === null ? '–' : rows >= rows_limit ? `≥ ${number(rows_limit)}` : number(rows)}</td>
              <td class="num w12">
                <Ago of={newest_row_at} none="none" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Not shown to keys that may not. */
export function Forget({ entity, id, path, of }: { entity: string; id: string; path: string; of: EntityPage }) {
  const isAsking = useSignal(false)
  if (!may('admin') || seesWords() !== null) return null
  const turn = () => {
    isAsking.value = !isAsking.value
  }
  const recorded = of.features.reduce((sum, { history }) => sum + (history?.length ?? 0), 0)
  return (
    <section aria-labelledby="forget">
      <h2 id="forget">Forget</h2>
      <p class="prose">
        Drops the {number(of.features.length)} values and all recorded ones ({number(recorded)} of this window) of {id}. Of what is pushed
        from then on, only later events count. Rows of sources stay.
      </p>
      {isAsking.value ? (
        <Confirm id={id} path={path} name={`${entity} ${id}`} onEnd={turn} />
      ) : (
        <p class="flush8">
          <button class="grave" onClick={turn}>
            forget {entity} {id} …
          </button>
        </p>
      )}
    </section>
  )
}

/** It cannot be undone, so the key is typed once more. */
function Confirm({ id, path, name, onEnd }: { id: string; path: string; name: string; onEnd: () => void }) {
  const typed = useSignal('')
  const failure = useSignal<Failure | null>(null)
  const forget = async (event: Event) => {
    event.preventDefault()
    if (typed.value !== id) return
    try {
      await ask(path, { method: 'DELETE' })
      say(`${name} is forgotten`)
      onEnd()
      refreshData('/v1/entities/')
    } catch (error) {
      failure.value = error instanceof Failure ? error : null
    }
  }
  const type = (event: { currentTarget: HTMLInputElement }) => {
    typed.value = event.currentTarget.value
  }
  return (
    <>
      <form class="pills flush8" onSubmit={(event) => void forget(event)}>
        <label>
          type <b class="mono">{id}</b> <input size={12} value={typed.value} onInput={type} />
        </label>
        <button type="submit" class="grave" disabled={typed.value !== id}>
          forget for ever
        </button>
        <button type="button" onClick={onEnd}>
          cancel
        </button>
      </form>
      {failure.value && <FailureNote of={failure.value} />}
    </>
  )
}
