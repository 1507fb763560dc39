import type { Definition, Run, Runs } from '../../http/wire.ts'
import { href, place, setQuery } from '../core/address.ts'
import { useData } from '../core/data.ts'
import { now } from '../core/now.ts'
import { may } from '../core/session.ts'
import { moment, number, plural, took } from '../core/words.ts'
import { Code } from '../parts/code.tsx'
import { CopyAs, copy } from '../parts/copy.tsx'
import { Mark, type Shape } from '../parts/mark.tsx'
import { OldNote, Waiting } from '../parts/note.tsx'
import { Packed, UnderWay } from '../parts/run-load.tsx'
import { RunTable } from '../parts/runs.tsx'
import { RefreshNow } from './feature/feature.tsx'

const SPANS: Readonly<Record<string, number>> = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 }
const MOST = 1_000

interface View {
  readonly word: string
  readonly shape: Shape | null
  readonly fits: (run: Run) => boolean
}

const VIEWS: Readonly<Record<string, View>> = {
  all: { word: 'all', shape: null, fits: () => true },
  running: { word: 'under way', shape: 'running', fits: ({ state }) => state === 'running' },
  failed: { word: 'failed', shape: 'error', fits: ({ state }) => state === 'failed' || state === 'partly_failed' },
  slow: { word: 'slower than usual', shape: null, fits: (run) => isSlow(run) },
}

function isSlow({ duration_ms, usual_ms }: Run): boolean {
  return duration_ms !== null && usual_ms !== null && duration_ms > usual_ms * 1.5 && duration_ms - usual_ms > 50
}

export function RunsPage() {
  const { query } = place.value
  const span = SPANS[query.get('since') ?? '1h'] ? (query.get('since') ?? '1h') : '1h'
  const feature = query.get('feature')
  const asked = new URLSearchParams({ limit: String(MOST), ...(feature === null ? {} : { feature }) })
  const runs = useData<Runs>(`/v1/runs?${asked}`, 3_000)
  const since = now() - (SPANS[span] ?? 0)
  const all = (runs.value?.runs ?? []).filter((run) => run.state === 'running' || Date.parse(run.finished_at ?? run.started_at) >= since)
  const view = VIEWS[query.get('view') ?? 'all'] ?? VIEWS['all']
  const shown = all.filter((run) => view?.fits(run))
  const chosen = query.get('run') ?? shown.find(({ state }) => state === 'failed' || state === 'partly_failed')?.id
  return (
    <>
      <div class="head">
        <h1 class="hide">Runs</h1>
        <Pills all={all} view={query.get('view') ?? 'all'} span={span} feature={feature} />
        <div class="acts">
          <CopyAs path={`/v1/runs?${asked}`} cli={`fabra runs${feature === null ? '' : ` ${feature}`} --limit ${MOST} --json`} />
        </div>
      </div>
      <OldNote on={runs} />
      {runs.value ? (
        <>
          <UnderWay runs={all} spanMs={SPANS[span] ?? 0} />
          {span === '1h' && <Packed runs={all} />}
          <section class="flush">
            <RunTable runs={shown} detail={(run) => (run.id === chosen ? <Detail of={run} /> : null)} />
          </section>
        </>
      ) : (
        <Waiting on={runs} />
      )}
    </>
  )
}

function Pills(props: { all: readonly Run[]; view: string; span: string; feature: string | null }) {
  return (
    <div class="pills">
      {Object.entries(VIEWS).map(([name, { word, shape, fits }]) => (
        <button
          key={name}
          class="pill"
          aria-pressed={props.view === name}
          onClick={() => setQuery({ view: name === 'all' ? null : name, run: null })}
        >
          {shape && <Mark of={shape} word={word} />} {word}
          <span class="soft">{number(props.all.filter(fits).length)}</span>
        </button>
      ))}
      <span class="seg" role="group" aria-label="since">
        {Object.keys(SPANS).map((span) => (
          <button key={span} aria-pressed={props.span === span} onClick={() => setQuery({ since: span === '1h' ? null : span })}>
            {span}
          </button>
        ))}
      </span>
      {props.feature !== null && (
        <button class="pill" aria-pressed="true" onClick={() => setQuery({ feature: null, run: null })}>
          <span class="mono">{props.feature}</span> ×
        </button>
      )}
    </div>
  )
}

/** A run with its error and the line at fault. */
function Detail({ of }: { of: Run }) {
  const isFailed = of.error !== null
  return (
    <div class="cols c75">
      <div>{isFailed && of.line !== null ? <Fault of={of} /> : <p class="soft">{isFailed ? '' : 'No error.'}</p>}</div>
      <div class="prose flush8">
        {of.error && (
          <p>
            {of.error_code && <b class="mono ink">{of.error_code} </b>}
            {of.error}
          </p>
        )}
        <p>
          {plural(of.failed, 'key')} of {number(of.keys)} failed, {number(of.changed)} changed
          {of.skipped > 0 && `, ${number(of.skipped)} left out`}. Began {moment(of.started_at)}, took {took(of.duration_ms)}
          {of.usual_ms !== null && `, usually ${took(of.usual_ms)}`}.{of.next_at && ` Next at ${moment(of.next_at)}.`}
        </p>
        <p class="pills flush8">
          {may('write') && <RefreshNow feature={of.feature} word="run again" />}
          <a class="btn" href={href(['features', of.feature])}>
            feature
          </a>
          <button onClick={() => copy(`fabra refresh ${of.feature}`, 'Copied as CLI')}>copy the command</button>
        </p>
      </div>
    </div>
  )
}

/** The line at fault with its neighbours, where this key may see the text. */
function Fault({ of }: { of: Run }) {
  const definition = useData<Definition>(may('admin') ? `/v1/features/${encodeURIComponent(of.feature)}/definition` : null, 30_000)
  const text = definition.value?.text
  const line = of.line ?? 0
  const index = text ? line - text.line : -1
  if (!text || index < 0 || index >= text.lines.length)
    return (
      <p class="mono flush8">
        {of.file}:{line}
      </p>
    )
  const from = Math.max(0, index - 2)
  return (
    <>
      <Code lines={text.lines.slice(from, index + 3)} from={text.line + from} language={text.language} fault={line} label="line at fault" />
      <p class="small mono">
        {text.file}:{line}
      </p>
    </>
  )
}
