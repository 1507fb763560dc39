import type { TrainingSetSummary, TrainingSets } from '../../../http/wire.ts'
import { ask, Failure } from '../../core/ask.ts'
import { refreshData, useData } from '../../core/data.ts'
import { number, roughly } from '../../core/words.ts'
import { Progress } from '../../parts/charts.tsx'
import { say } from '../../parts/copy.tsx'
import { Mark, type Shape } from '../../parts/mark.tsx'
import { FailureNote, Note } from '../../parts/note.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Ago } from '../../parts/time.tsx'

const EVERY_MS = 2_000

const SHAPES: Readonly<Record<TrainingSetSummary['state'], Shape>> = {
  running: 'running',
  done: 'fresh',
  failed: 'error',
  cancelled: 'missing',
}

export function SetsMade() {
  const sets = useData<TrainingSets>('/v1/training-sets', EVERY_MS)
  return (
    <section aria-labelledby="made">
      <div class="sec">
        <h2 id="made">Made</h2>
        <span class="small">since the start</span>
      </div>
      {sets.failure && !sets.value && <FailureNote of={sets.failure} again={sets.again} />}
      {sets.value?.training_sets.length === 0 && (
        <Note title="No training set yet.">Those that are made by command or by request stand here, too.</Note>
      )}
      {sets.value && sets.value.training_sets.length > 0 && (
        <Table label="training sets" columns={COLUMNS} rows={sets.value.training_sets} keyOf={({ id }) => id} />
      )}
    </section>
  )
}

const COLUMNS: readonly Column<TrainingSetSummary>[] = [
  { id: 'mark', head: <span class="hide">state</span>, cls: 'm1', cell: ({ state }) => <Mark of={SHAPES[state]} word={state} /> },
  { id: 'began', head: 'began', cls: 'num', width: 'w10', cell: ({ began_at }) => <Ago of={began_at} /> },
  {
    id: 'features',
    head: 'features',
    cls: 'mono',
    cell: ({ features, error }) => (
      <span title={features.join(', ')}>{error ? `${error.code}: ${error.message}` : features.join(', ')}</span>
    ),
  },
  { id: 'rows', head: 'rows', cls: 'num', width: 'w10', cell: ({ rows }) => number(rows) },
  { id: 'progress', head: 'progress', cls: 'p2', width: 'w14', cell: ({ progress }) => <Progress share={progress} /> },
  { id: 'how', head: 'state', cls: 'num', width: 'w16', cell: stateWord },
  {
    id: 'stop',
    head: <span class="hide">stop</span>,
    cls: 'num',
    width: 'w8',
    cell: (set) => set.state === 'running' && <Stop of={set} />,
  },
]

function stateWord({ state, progress, seconds_left, warnings }: TrainingSetSummary): string {
  if (state !== 'running') return warnings === 0 ? state : `${state}, ${warnings} to look at`
  const left = seconds_left === null ? '' : `, ${roughly(seconds_left * 1000)} left`
  return `${Math.round(progress * 100)} %${left}`
}

function Stop({ of }: { of: TrainingSetSummary }) {
  const stop = async () => {
    try {
      await ask(`/v1/training-sets/${encodeURIComponent(of.id)}`, { method: 'DELETE' })
    } catch (error) {
      say(error instanceof Failure ? error.message : String(error))
    }
    refreshData('/v1/training-sets')
  }
  return (
    <button class="plain" onClick={() => void stop()}>
      stop
    </button>
  )
}
