import { useSignal } from '@preact/signals'
import { setQuery } from '../../core/address.ts'
import { columnRows, shapeOf, useCatalogue } from '../../core/catalogue.ts'
import { useData } from '../../core/data.ts'
import { may, seesWords } from '../../core/session.ts'
import { bytes, number } from '../../core/words.ts'
import { Mark } from '../../parts/mark.tsx'
import type { AsOf, Format, Wanted } from './request.ts'

const MOST_SHOWN = 14

type Change = (change: Partial<Wanted>) => void

export function PickFeatures({ chosen }: { chosen: readonly string[] }) {
  const wanted = useSignal('')
  const rows = columnRows(useCatalogue().value?.features ?? [])
  const sets = useData<{ feature_sets: { name: string; features: string[] }[] }>('/v1/feature-sets', null).value?.feature_sets ?? []
  const all = [
    ...sets.map(({ name }) => ({ name, shape: 'none' as const, word: 'set' })),
    ...rows.map(({ name, feature }) => ({ name, shape: shapeOf(feature), word: feature.state ?? '' })),
  ]
  const fits = all.filter(({ name }) => name.toLowerCase().includes(wanted.value.toLowerCase()))
  const shown = [...fits.filter(({ name }) => chosen.includes(name)), ...fits.filter(({ name }) => !chosen.includes(name))]
  const toggle = (name: string) => {
    const next = chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]
    setQuery({ features: next.join(',') || null })
  }
  return (
    <section class="flush pick" aria-labelledby="pick">
      <div class="sec">
        <h2 id="pick">Features</h2>
        <span class="small">{number(chosen.length)} chosen</span>
      </div>
      <input
        type="search"
        class="full"
        aria-label="feature, column or set"
        placeholder="feature, column or set"
        value={wanted.value}
        onInput={(event) => {
          wanted.value = event.currentTarget.value
        }}
      />
      {shown.slice(0, MOST_SHOWN).map(({ name, shape, word }) => (
        <label key={name}>
          <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} />
          <span class="mono cut">{name}</span>
          {shape === 'none' ? <span class="small soft">{word}</span> : <Mark of={shape} />}
        </label>
      ))}
      {shown.length > MOST_SHOWN && <p class="more">{number(shown.length - MOST_SHOWN)} more</p>}
    </section>
  )
}

export function Labels({ of, onChange }: { of: Wanted; onChange: Change }) {
  const isSql = useSignal(false)
  const turn = () => {
    isSql.value = !isSql.value
    onChange(isSql.value ? { file: null } : { sql: '' })
  }
  return (
    <section aria-labelledby="labels">
      <h2 id="labels">Labels</h2>
      {isSql.value ? <LabelsSql of={of} onChange={onChange} /> : <LabelsFile of={of} onChange={onChange} />}
      {may('train') && seesWords() === null && (
        <p class="flush8">
          <button onClick={turn}>{isSql.value ? 'a file instead' : 'write SQL'}</button>
        </p>
      )}
      <p class="pills flush8">
        <label>
          time{' '}
          <input
            size={14}
            placeholder="event_timestamp"
            value={of.timestamp}
            onInput={(event) => onChange({ timestamp: event.currentTarget.value })}
          />
        </label>
        <label>
          zone{' '}
          <input
            size={8}
            placeholder="in the file"
            value={of.timezone}
            onInput={(event) => onChange({ timezone: event.currentTarget.value })}
          />
        </label>
      </p>
    </section>
  )
}

function LabelsSql({ of, onChange }: { of: Wanted; onChange: Change }) {
  return (
    <textarea
      class="mono full sql"
      aria-label="SQL that gives the labels"
      rows={6}
      placeholder="SELECT user_id, created_at AS event_timestamp FROM transactions"
      value={of.sql}
      onInput={(event) => onChange({ sql: event.currentTarget.value, file: null })}
    />
  )
}

function LabelsFile({ of, onChange }: { of: Wanted; onChange: Change }) {
  const take = (file: File | undefined) => file && onChange({ file, sql: '' })
  const drop = (event: DragEvent) => {
    event.preventDefault()
    take(event.dataTransfer?.files[0])
  }
  return (
    <label class="drop" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <span>{of.file ? <b class="mono">{of.file.name}</b> : 'Drop a file, or choose one:'}</span>
      <span class="soft">{of.file ? bytes(of.file.size) : 'CSV, Parquet, Arrow or JSON lines'}</span>
      <input
        type="file"
        aria-label="labels file"
        accept=".csv,.parquet,.pq,.arrow,.feather,.jsonl,.ndjson"
        onChange={(event) => take(event.currentTarget.files?.[0])}
      />
    </label>
  )
}

const AS_OF: readonly [AsOf, string][] = [
  ['true', 'what was true at the time'],
  ['served', 'what was served at the time'],
  ['known', 'all that is known by now'],
]
const FORMATS: readonly Format[] = ['parquet', 'csv', 'arrow', 'jsonl']

export function AsOfChoice({ of, onChange }: { of: Wanted; onChange: Change }) {
  return (
    <section class="pick" aria-labelledby="as-of">
      <h2 id="as-of">As of</h2>
      {AS_OF.map(([value, title]) => (
        <label key={value}>
          <input type="radio" name="as-of" checked={of.asOf === value} onChange={() => onChange({ asOf: value })} />
          <span>{title}</span>
        </label>
      ))}
      <p class="flush8">
        as{' '}
        <select
          aria-label="format"
          value={of.format}
          onChange={(event) => onChange({ format: FORMATS.find((one) => one === event.currentTarget.value) ?? 'parquet' })}
        >
          {FORMATS.map((format) => (
            <option key={format}>{format}</option>
          ))}
        </select>
      </p>
    </section>
  )
}
