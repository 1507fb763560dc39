import type { Run } from '../../http/wire.ts'
import { href } from '../core/address.ts'
import { ageOf } from '../core/now.ts'
import { number, roughly, took } from '../core/words.ts'
import { Progress, TookBar } from './charts.tsx'
import { Mark, type Shape } from './mark.tsx'
import { Note } from './note.tsx'
import { type Column, Table } from './table.tsx'
import { Ago } from './time.tsx'

const MARKS: Readonly<Record<Run['state'], readonly [Shape, string]>> = {
  done: ['fresh', 'done'],
  failed: ['error', 'failed'],
  partly_failed: ['error', 'failed in part'],
  running: ['running', 'under way'],
}

/** @param isShort One feature's alone: without its name. @param openId Of the run that is shown with its details. */
export function RunTable(props: {
  runs: readonly Run[]
  isShort?: boolean
  detail?: (run: Run) => preact.ComponentChildren
  isOld?: boolean
}) {
  const { runs, isShort = false } = props
  if (runs.length === 0) return <Note title="No runs.">A run begins by schedule, when a definition is new, or by "refresh now".</Note>
  const scale = Math.max(...runs.map(({ duration_ms, usual_ms }) => Math.max(duration_ms ?? 0, usual_ms ?? 0)), 1)
  const columns = columnsFor(scale).filter(({ id }) => !isShort || (id !== 'feature' && id !== 'usual'))
  return (
    <Table
      label="runs"
      cls={isShort ? 'rn' : 'sticky rn'}
      columns={columns}
      rows={runs}
      keyOf={({ id }) => id}
      hrefOf={(run) =>
        isShort ? href(['runs'], { run: run.id, feature: run.feature }) : href(['runs'], { ...presentQuery(), run: run.id })
      }
      isOld={props.isOld ?? false}
      {...(props.detail ? { detail: props.detail } : {})}
    />
  )
}

function presentQuery(): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(location.search))
}

function columnsFor(scale: number): Column<Run>[] {
  return [
    {
      id: 'mark',
      head: <span class="hide">state</span>,
      cls: 'm1',
      cell: ({ state }) => <Mark of={MARKS[state][0]} word={MARKS[state][1]} />,
    },
    {
      id: 'ago',
      head: 'ago',
      cls: 'num',
      width: 'w10',
      cell: (run) => (
        <a href={href(['runs'], { ...presentQuery(), run: run.id })}>
          <Ago of={run.started_at} />
        </a>
      ),
    },
    {
      id: 'feature',
      head: 'feature',
      cls: 'mono',
      width: 'w-name',
      cell: ({ feature }) => <a href={href(['features', feature])}>{feature}</a>,
    },
    { id: 'reason', head: 'reason', cls: 'soft p1', width: 'w14', cell: ({ reason }) => reason },
    { id: 'bar', head: 'duration', cls: 'p2', width: 'w14', cell: (run) => <Bar of={run} scale={scale} /> },
    { id: 'took', head: 'took', cls: 'num', width: 'w9', cell: tookWord },
    { id: 'usual', head: 'usual', cls: 'num soft p3', width: 'w9', cell: usualWord },
    { id: 'keys', head: 'keys', cls: 'num p1', width: 'w9', cell: ({ keys }) => number(keys) },
    { id: 'changed', head: 'changed', cls: 'num p3', width: 'w9', cell: ({ changed }) => number(changed) },
    { id: 'failed', head: 'failed', cls: 'num p1', width: 'w8', cell: ({ failed }) => (failed > 0 ? <b>{number(failed)}</b> : '0') },
    { id: 'error', head: 'first error', cls: 'soft p2', cell: (run) => <span title={run.error ?? ''}>{errorText(run)}</span> },
  ]
}

function Bar({ of, scale }: { of: Run; scale: number }) {
  if (of.state === 'running') return <Progress share={of.keys === 0 ? 0 : of.done / of.keys} />
  return <TookBar ms={of.duration_ms ?? 0} usual={of.usual_ms} scale={scale} />
}

function tookWord(run: Run): string {
  if (run.state !== 'running') return took(run.duration_ms)
  return run.keys > 0 ? `${Math.round((run.done / run.keys) * 100)} %` : 'begins'
}

function usualWord(run: Run): string {
  if (run.state !== 'running') return took(run.usual_ms)
  const passed = ageOf(run.started_at) ?? 0
  return run.done === 0 ? '' : `${roughly((passed / run.done) * (run.keys - run.done))} left`
}

/** The error in one line, with its place: `no column "declined_at", fraud.ts:141`. Which feature failed is said beside it. */
export function errorText({ error, file, line }: Run): string {
  if (error === null) return ''
  const [whole = ''] = error.split('\n')
  // The row names the feature; the reason is worth more than the key it was first found with, where it is told.
  const first = whole.replace(/^feature "[^"]*" failed for key "(?:[^"\\]|\\.)*": /, '').replace(/^feature "[^"]*" failed for (?=key )/, '')
  return file === null ? first : `${first.replace(/\.$/, '')}, ${file}${line === null ? '' : `:${line}`}`
}
