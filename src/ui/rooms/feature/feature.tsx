import type { FeatureStatistics, Runs } from '../../../http/wire.ts'
import { href, place } from '../../core/address.ts'
import { ask, Failure } from '../../core/ask.ts'
import { columnRows, type ListedFeature, shapeOf, useCatalogue } from '../../core/catalogue.ts'
import { refreshData, type Shown, useData } from '../../core/data.ts'
import { ageOf } from '../../core/now.ts'
import { may } from '../../core/session.ts'
import { number, percent, rate, took } from '../../core/words.ts'
import { CopyAs, say } from '../../parts/copy.tsx'
import { Mark } from '../../parts/mark.tsx'
import { FailureNote, Note, OldNote, Waiting } from '../../parts/note.tsx'
import { RunTable } from '../../parts/runs.tsx'
import { Figure } from '../../parts/strip.tsx'
import { AgeBar } from '../../parts/time.tsx'
import { isLate } from '../catalogue/columns.tsx'
import { Definition } from './definition.tsx'
import { OverTime, WINDOWS, windowOf } from './over-time.tsx'
import { Readers } from './readers.tsx'
import { TryIt } from './try-it.tsx'
import { ValuesNow } from './values-now.tsx'
import { ageFigure, kindWords, verdictOf } from './verdict.ts'

export function FeaturePage() {
  const asked = place.value.parts[1] ?? ''
  const list = useCatalogue()
  const rows = columnRows(list.value?.features ?? [])
  const row = rows.find(({ name }) => name === asked) ?? rows.find(({ feature }) => feature.name === asked)
  if (!list.value) {
    return (
      <>
        <div class="head">
          <h1 class="mono">{asked}</h1>
        </div>
        <Waiting on={list} />
      </>
    )
  }
  if (!row) {
    return (
      <>
        <div class="head">
          <h1 class="mono">{asked}</h1>
        </div>
        <Note title={`There is no feature "${asked}".`}>
          <a href={href(['catalogue'], { q: asked.slice(0, 6) })}>Features with such a name</a>
        </Note>
      </>
    )
  }
  return (
    <Page
      key={row.name}
      name={asked}
      column={row.name}
      feature={row.feature}
      siblings={rows.filter((one) => one.feature === row.feature).map((one) => one.name)}
    />
  )
}

interface PageProps {
  readonly name: string
  readonly column: string
  readonly feature: ListedFeature
  /** All columns of the feature. */
  readonly siblings: readonly string[]
}

function Page({ name, column, feature, siblings }: PageProps) {
  const window = windowOf(place.value.query)
  const against = place.value.query.get('against')
  const query = new URLSearchParams({ window, ...(against === null ? {} : { against }) })
  const path = `/v1/features/${encodeURIComponent(feature.name)}/statistics?${query}`
  const statistics = useData<FeatureStatistics>(path)
  const runs = useData<Runs>(`/v1/runs?feature=${encodeURIComponent(feature.name)}&limit=20`)
  const verdict = verdictOf(feature, runs.value?.runs ?? [])
  return (
    <>
      <Title name={name} feature={feature} path={path} />
      <OldNote on={statistics} />
      {verdict && (
        <p class="verdict">
          <b>{verdict.first}</b> {verdict.rest}
        </p>
      )}
      {siblings.length > 1 && <Siblings names={siblings} column={column} />}
      {statistics.value ? <Figures of={statistics.value} feature={feature} /> : <Waiting on={statistics} />}
      <div class="cols c75">
        <div>
          {statistics.value && <OverTime of={statistics.value} column={column} isOld={statistics.isOld} />}
          {statistics.value && <ValuesNow of={statistics.value} column={column} />}
          <RecentRuns of={feature} runs={runs} />
        </div>
        <div>
          <Definition feature={feature.name} />
          <Readers feature={feature.name} />
          <TryIt name={name} feature={feature} />
        </div>
      </div>
    </>
  )
}

function Title({ name, feature, path }: { name: string; feature: ListedFeature; path: string }) {
  const type = feature.columns ? 'columns' : (feature.type ?? 'json')
  return (
    <div class="head">
      <Mark of={shapeOf(feature)} />
      <h1 class="mono">{name}</h1>
      <p>
        {type} of <a href={href(['catalogue'], { entity: feature.entity })}>{feature.entity}</a> · {kindWords(feature)}
        {feature.owner && ` · owner ${feature.owner}`}
        {feature.tags.length > 0 && ' · '}
        {feature.tags.map((tag) => (
          <a key={tag} class="tag" href={href(['catalogue'], { tag })}>
            {tag}{' '}
          </a>
        ))}
        {feature.description && <span class="said">{feature.description}</span>}
      </p>
      <div class="acts">
        {may('write') && feature.kind !== 'pushed' && feature.refresh !== 'realtime' && <RefreshNow feature={feature.name} />}
        <CopyAs path={path} cli={`fabra runs ${feature.name} --json`} />
      </div>
    </div>
  )
}

export function RefreshNow({ feature, word = 'refresh now' }: { feature: string; word?: string }) {
  const run = async () => {
    say(`${feature}: a run begins`)
    try {
      const { keys, failed } = await ask<{ keys: number; failed: number }>(`/v1/features/${encodeURIComponent(feature)}/refresh`, {
        method: 'POST',
        limitMs: null,
      })
      say(`${feature}: ${number(keys)} keys, ${number(failed)} failed`)
    } catch (error) {
      say(error instanceof Failure ? error.message : String(error))
    }
    refreshData('/v1/')
  }
  return <button onClick={() => void run()}>{word}</button>
}

function Siblings({ names, column }: { names: readonly string[]; column: string }) {
  return (
    <p class="pills columns">
      <span class="soft">column</span>
      {names.map((one) => (
        <a key={one} class="btn pill mono" href={href(['features', one])} aria-current={one === column ? 'true' : undefined}>
          {one.slice(one.indexOf('.') + 1)}
        </a>
      ))}
    </p>
  )
}

function Figures({ of, feature }: { of: FeatureStatistics; feature: ListedFeature }) {
  const { reads } = of
  const [figure, ofWhat] = ageFigure(feature)
  const bar =
    feature.refresh === 'realtime' ? null : <AgeBar ms={ageOf(feature.refreshed?.at)} of={feature.refreshed?.interval_ms ?? null} wide />
  const all = reads ? Object.values(reads.states).reduce((sum, count) => sum + count, 0) : 0
  const [p50 = '–', unit = ''] = took(reads?.latency_ms.p50).split(' ')
  const [p99 = '–', unit99 = ''] = took(reads?.latency_ms.p99).split(' ')
  const windowWord = WINDOWS.find((one) => one === windowOf(place.value.query)) ?? '1h'
  return (
    <div class="strip">
      <Figure label="age of refresh" below={bar}>
        <span class={isLate(feature) ? 'is-stale' : ''}>{figure}</span>
        <small>{ofWhat}</small>
      </Figure>
      <Figure label="fresh at serve" sub={`of the last ${windowWord}`}>
        {reads && all > 0 ? percent(reads.states.fresh / all) : '–'}
        <small>%</small>
      </Figure>
      <Figure label="reads" sub={of.keys_in_use === null ? `${number(reads?.reads ?? 0)} reads` : `${number(of.keys_in_use)} keys in use`}>
        {rate(reads?.reads_per_second)}
        <small>/s</small>
      </Figure>
      <Figure label="latency" sub="of requests that ask for it">
        {p50}
        <small>{unit} p50</small>
        <span class="two">{p99}</span>
        <small>{unit99} p99</small>
      </Figure>
      <Figure label="null" sub="of values read">
        {percent(reads?.null_share)}
        {typeof reads?.null_share === 'number' && <small>%</small>}
      </Figure>
    </div>
  )
}

function RecentRuns({ of, runs }: { of: ListedFeature; runs: Shown<Runs> }) {
  if (of.kind === 'pushed' || of.refresh === 'realtime') return null
  return (
    <section aria-labelledby="recent">
      <div class="sec">
        <h2 id="recent">Runs</h2>
        <span class="small">tick: usual</span>
        <span class="right small">
          <a href={href(['runs'], { feature: of.name })}>all of {of.name}</a>
        </span>
      </div>
      {runs.failure && !runs.value && <FailureNote of={runs.failure} again={runs.again} />}
      {runs.value && <RunTable runs={runs.value.runs.slice(0, 8)} isShort />}
    </section>
  )
}
