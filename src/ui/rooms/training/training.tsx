import { useSignal } from '@preact/signals'
import type { TrainingPreview } from '../../../http/wire.ts'
import { place } from '../../core/address.ts'
import { Failure } from '../../core/ask.ts'
import { refreshData } from '../../core/data.ts'
import { plural } from '../../core/words.ts'
import { copy, say } from '../../parts/copy.tsx'
import { Mark } from '../../parts/mark.tsx'
import { FailureNote, Note } from '../../parts/note.tsx'
import { AsOfChoice, Labels, PickFeatures } from './choices.tsx'
import { PreviewTable } from './preview.tsx'
import { command, isComplete, make, newId, preview, type Wanted } from './request.ts'
import { SetsMade } from './sets-made.tsx'

const NOTHING: Omit<Wanted, 'features'> = { file: null, sql: '', timestamp: '', timezone: '', asOf: 'true', format: 'parquet' }

export function TrainingPage() {
  const features = (place.value.query.get('features') ?? '').split(',').filter(Boolean)
  const given = useSignal(NOTHING)
  const shown = useSignal<TrainingPreview | null>(null)
  const failure = useSignal<Failure | null>(null)
  const busy = useSignal<'preview' | 'make' | null>(null)
  const wanted: Wanted = { ...given.value, features }
  const act = async (what: 'preview' | 'make') => {
    busy.value = what
    failure.value = null
    try {
      if (what === 'preview') shown.value = await preview(wanted)
      else {
        await make(wanted, newId())
        say('The training set is made')
      }
    } catch (error) {
      failure.value = error instanceof Failure ? error : new Failure({ status: 0, code: 'failed', message: String(error) })
    }
    busy.value = null
    refreshData('/v1/training-sets')
  }
  return (
    <>
      <Title wanted={wanted} rows={shown.value?.rows ?? null} busy={busy.value} onAct={(what) => void act(what)} />
      {shown.value && <Warnings of={shown.value} />}
      <div class="cols pickrail">
        <div>
          <PickFeatures chosen={features} />
          <Labels
            of={wanted}
            onChange={(change) => {
              given.value = { ...given.value, ...change }
            }}
          />
          <AsOfChoice
            of={wanted}
            onChange={(change) => {
              given.value = { ...given.value, ...change }
            }}
          />
        </div>
        <div>
          <section class="flush" aria-busy={busy.value !== null}>
            {failure.value && <FailureNote of={failure.value} />}
            {shown.value ? <PreviewTable of={shown.value} isOld={busy.value === 'preview'} /> : !failure.value && <Begin wanted={wanted} />}
          </section>
          <SetsMade />
        </div>
      </div>
    </>
  )
}

function Title(props: { wanted: Wanted; rows: number | null; busy: string | null; onAct: (what: 'preview' | 'make') => void }) {
  const { wanted, rows, busy } = props
  const canAsk = isComplete(wanted) && busy === null
  return (
    <div class="head">
      <h1 class="hide">Training</h1>
      <p role="status">
        {busy === 'make'
          ? 'The set is being made; how far it is stands below.'
          : 'Labels in, features as of each row’s own time, a file out.'}
      </p>
      <div class="acts">
        <button disabled={!isComplete(wanted)} onClick={() => copy(command(wanted), 'Copied as CLI')}>
          copy the command
        </button>
        <button disabled={!canAsk} onClick={() => props.onAct('preview')}>
          {busy === 'preview' ? 'asking …' : 'preview 50 rows'}
        </button>
        <button class="main" disabled={!canAsk} onClick={() => props.onAct('make')}>
          {busy === 'make' ? 'making …' : rows === null ? 'make' : `make ${plural(rows, 'row')}`}
        </button>
      </div>
    </div>
  )
}

function Begin({ wanted }: { wanted: Wanted }) {
  const steps = [
    wanted.features.length === 0 ? 'Choose features at the left.' : `${plural(wanted.features.length, 'feature')} chosen.`,
    wanted.file === null && wanted.sql === '' ? 'Drop a labels file, or write SQL.' : 'Labels are there.',
    'Look at 50 rows as of their times before all are made.',
  ]
  return (
    <Note title="A training set begins with labels: keys, a time for each, and what is to be learnt.">
      {steps.map((step) => (
        <span key={step} class="said">
          {step}
        </span>
      ))}
    </Note>
  )
}

function Warnings({ of }: { of: TrainingPreview }) {
  const all = [
    ...of.warnings,
    ...of.columns.flatMap((column) => column.warnings.map((warning) => ({ ...warning, message: `${column.name}: ${warning.message}` }))),
  ]
  return (
    <div class="steps">
      <span>
        <span class="soft">ok</span> {plural(of.rows, 'label row')} read
      </span>
      {all.map(({ message, hint }) => (
        <span key={message}>
          <Mark of="warn" word="warning" /> <b>{message}</b> {hint}
        </span>
      ))}
    </div>
  )
}
