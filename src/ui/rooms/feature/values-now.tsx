import type { Distribution, FeatureStatistics, Quantiles, TrainingSets } from '../../../http/wire.ts'
import { place, setQuery } from '../../core/address.ts'
import { useData } from '../../core/data.ts'
import { day, moment, number, percent, plural } from '../../core/words.ts'
import { Bars } from '../../parts/charts.tsx'
import { Note } from '../../parts/note.tsx'

const EDGES = 5

export function ValuesNow({ of, column }: { of: FeatureStatistics; column: string }) {
  const now = of.reads?.columns.find(({ name }) => name === column) ?? null
  const against = of.against?.columns.find(({ name }) => name === column) ?? null
  return (
    <section aria-labelledby="values">
      <div class="sec">
        <h2 id="values">Values now</h2>
        <span class="small">{now && sampleWords(now)}</span>
        <Against of={of.feature} psi={against?.psi} />
      </div>
      {now && now.sample.seen > 0 ? (
        <Shown now={now} against={against?.distribution ?? null} name="training set" />
      ) : (
        <Note title={of.reads && of.reads.reads > 0 ? 'No value could be served in this window.' : 'Nothing was read in this window.'}>
          What is served appears here.
        </Note>
      )}
    </section>
  )
}

/** Below it values are much alike, above it they are another population. */
const DRIFT: readonly [alike: number, other: number] = [0.1, 0.25]

/** Which training set the line is of, where there is one to choose. */
function Against({ of, psi }: { of: string; psi: number | null | undefined }) {
  const made = useData<TrainingSets>('/v1/training-sets', null).value?.training_sets ?? []
  const sets = made.filter((set) => set.has_samples && set.features.includes(of))
  const chosen = place.value.query.get('against')
  if (sets.length === 0 && chosen === null) return null
  const known = sets.some(({ id }) => id === chosen)
  return (
    <span class="right key">
      {psi !== undefined && <span class="small">{psi === null ? 'not comparable' : `PSI ${psi.toFixed(2)}, ${driftWord(psi)}`}</span>}{' '}
      <label>
        line:{' '}
        <select value={chosen ?? ''} onChange={(event) => setQuery({ against: event.currentTarget.value || null })}>
          <option value="">nothing</option>
          {chosen !== null && !known && <option value={chosen}>{chosen.slice(0, 8)}</option>}
          {sets.map(({ id, finished_at, rows }) => (
            <option key={id} value={id}>
              set of {day(Date.parse(finished_at ?? ''))}, {plural(rows ?? 0, 'row')}
            </option>
          ))}
        </select>
      </label>
    </span>
  )
}

function driftWord(psi: number): string {
  return psi < DRIFT[0] ? 'much alike' : psi > DRIFT[1] ? 'drifted' : 'somewhat apart'
}

function sampleWords({ sample }: Distribution): string {
  const all = plural(sample.seen, 'value')
  return sample.kept < sample.seen ? `${all} read, ${number(sample.kept)} of them sampled` : `${all} read`
}

function Shown({ now, against, name }: { now: Distribution; against: Distribution | null; name: string }) {
  if (now.true_share !== null)
    return (
      <TopValues
        of={[
          { value: 'true', share: now.true_share },
          { value: 'false', share: 1 - now.true_share },
        ]}
      />
    )
  if (now.top) return <TopValues of={now.top} />
  if (!now.bins || !now.quantiles) return <Note title="All values are null." />
  return (
    <>
      <div class="dist">
        <Bars counts={now.bins.counts} line={against?.bins?.counts} width={480} height={88} wide />
        <div class={holdsWhole(now) ? 'xs mid' : 'xs'} aria-hidden="true">
          {edgesOf(now).map((edge, i) => (
            <span key={i}>{edge}</span>
          ))}
        </div>
      </div>
      <QuantileTable rows={[{ name: 'now', of: now }, ...(against ? [{ name, of: against }] : [])]} />
    </>
  )
}

/** A bin for each whole number, which then stands below its bar. */
function holdsWhole({ bins, measure }: Distribution): boolean {
  const edges = bins?.edges ?? []
  return (
    measure !== 'time' &&
    edges.length > 2 &&
    edges.every((edge, i) => Number.isInteger(edge) && (i === 0 || edge - (edges[i - 1] ?? 0) === 1))
  )
}

function edgesOf(of: Distribution): string[] {
  const { bins, measure } = of
  const edges = bins?.edges ?? []
  if (holdsWhole(of)) return edges.slice(0, -1).map((edge) => write(edge, measure))
  if (edges[0] === edges.at(-1)) return [write(edges[0] ?? null, measure)]
  return Array.from({ length: EDGES }, (_, i) => write(edges[Math.round((i / (EDGES - 1)) * (edges.length - 1))] ?? null, measure))
}

function write(value: number | null, measure: Distribution['measure']): string {
  return measure === 'time' && value !== null ? day(value) : number(value)
}

const QUANTILES: readonly [name: keyof Quantiles, head: string, cls: string][] = [
  ['min', 'min', ''],
  ['p10', 'p10', ' p1'],
  ['p50', 'median', ''],
  ['p90', 'p90', ' p1'],
  ['p99', 'p99', ' p1'],
  ['max', 'max', ''],
]

function QuantileTable({ rows }: { rows: readonly { name: string; of: Distribution }[] }) {
  return (
    <table class="q" aria-label="quantiles">
      <thead>
        <tr>
          <th scope="col">
            <span class="hide">of</span>
          </th>
          {QUANTILES.map(([name, head, cls]) => (
            <th key={name} scope="col" class={`num${cls}`}>
              {head}
            </th>
          ))}
          <th scope="col" class="num">
            null %
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, of }, i) => (
          <tr key={name}>
            <td class={i === 0 ? '' : 'soft'}>{name}</td>
            {QUANTILES.map(([quantile, , cls]) => (
              <td key={quantile} class={`num${cls}${i === 0 ? '' : ' soft'}`} title={exact(of, quantile)}>
                {write(of.quantiles?.[quantile] ?? null, of.measure)}
              </td>
            ))}
            <td class={`num${i === 0 ? '' : ' soft'}`}>{percent(of.null_share)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function exact({ quantiles, measure }: Distribution, name: keyof Quantiles): string {
  const value = quantiles?.[name]
  return value === undefined ? '' : measure === 'time' ? moment(value) : String(value)
}

function TopValues({ of }: { of: readonly { value: string; share: number }[] }) {
  return (
    <table aria-label="most frequent values">
      <tbody>
        {of.map(({ value, share }) => (
          <tr key={value}>
            <td class="mono w24">{value}</td>
            <td>
              <svg class="wide" height={8} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <path class="fill" d={`M0 1h${(share * 100).toFixed(2)}v6H0`} />
              </svg>
            </td>
            <td class="num w9">{percent(share)} %</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
