/** Failing and slow requests, kept apart from the stream so that they do not scroll away; and who asks. */
import type { RequestEvent, Traffic } from '../../../http/wire.ts'
import { me } from '../../core/session.ts'
import { percent, rate, took } from '../../core/words.ts'
import { Mark } from '../../parts/mark.tsx'
import { Note } from '../../parts/note.tsx'
import { Ago } from '../../parts/time.tsx'

const MOST = 8

export function Failing({ of }: { of: readonly RequestEvent[] }) {
  const failed = of.filter(({ error_code, states }) => error_code !== null || states.error || states.missing)
  const groups = [...Map.groupBy(failed, (request) => `${request.asked_for.join(', ')} ${codeOf(request)}`).values()]
  return (
    <section class="flush" aria-labelledby="failing">
      <div class="sec">
        <h2 id="failing">Failing</h2>
        <span class="small">kept apart from the stream</span>
      </div>
      {groups.length === 0 ? (
        <Note title="None of those shown." />
      ) : (
        <table aria-label="failing requests">
          <thead>
            <tr>
              <th scope="col" class="m1">
                <span class="hide">state</span>
              </th>
              <th scope="col">what</th>
              <th scope="col" class="w20">
                code
              </th>
              <th scope="col" class="num w8">
                times
              </th>
            </tr>
          </thead>
          <tbody>
            {groups.slice(0, MOST).map((group) => {
              const [first] = group
              if (!first) return null
              const isMissing = codeOf(first) === 'missing'
              return (
                <tr key={first.asked_for.join() + codeOf(first)}>
                  <td class="m1">
                    <Mark of={isMissing ? 'missing' : 'error'} />
                  </td>
                  <td class="mono" title={first.asked_for.join(', ')}>
                    {first.asked_for.join(', ')}
                  </td>
                  <td class="soft w20">{codeOf(first)}</td>
                  <td class="num w8">{group.length}×</td>
                </tr>
              )
            })}
          </tbody>
        </table>
      )}
    </section>
  )
}

function codeOf({ error_code, states }: RequestEvent): string {
  return error_code ?? (states.error ? 'error' : 'missing')
}

export function Slow({ of }: { of: readonly RequestEvent[] }) {
  const slowest = of.toSorted((a, b) => b.ms - a.ms).slice(0, MOST)
  return (
    <section aria-labelledby="slow">
      <div class="sec">
        <h2 id="slow">Slow</h2>
        <span class="small">slowest of those shown</span>
      </div>
      {slowest.length === 0 ? (
        <Note title="None yet." />
      ) : (
        <table class="two slow" aria-label="slow requests">
          <thead>
            <tr>
              <th scope="col" class="num w10">
                took
              </th>
              <th scope="col">what and why</th>
              <th scope="col" class="num w10">
                ago
              </th>
            </tr>
          </thead>
          <tbody>
            {slowest.map((request) => (
              <tr key={request.at + request.ms}>
                <td class="num w10">{took(request.ms)}</td>
                <td>
                  <span class="mono">{request.asked_for.join(', ')}</span>
                  <p>{whyWords(request)}</p>
                </td>
                <td class="num soft w10">
                  <Ago of={request.at} short />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function whyWords({ waited_for, waited_ms, rows }: RequestEvent): string {
  if (waited_for !== null) return `${waited_ms === null ? '' : `${took(waited_ms)} `}${waitWords(waited_for)}`
  return rows > 1 ? `${rows} rows in one request` : ''
}

/** `compute:spend`: computing spend. */
function waitWords(waitedFor: string): string {
  return waitedFor
    .replace(/^compute:/, 'computing ')
    .replace(/^get:/, 'getting ')
    .replace(/^store:(.*)/, 'waiting for the $1 store')
}

export function Callers({ of }: { of: Traffic | null }) {
  if (!of?.callers) return null
  return (
    <section aria-labelledby="callers">
      <h2 id="callers">Callers</h2>
      {of.callers.length === 0 ? (
        <Note title={me.value?.key === null ? 'Requests need no key here, so nobody is named.' : 'Nobody in the last minute.'} />
      ) : (
        <table aria-label="callers">
          <thead>
            <tr>
              <th scope="col">key</th>
              <th scope="col" class="num w9">
                req/s
              </th>
              <th scope="col" class="num w10">
                p99
              </th>
              <th scope="col" class="num w9">
                fresh %
              </th>
            </tr>
          </thead>
          <tbody>
            {of.callers.map(({ key, requests_per_second, p99_ms, fresh_share }) => (
              <tr key={key}>
                <td>{key}</td>
                <td class="num">{rate(requests_per_second)}</td>
                <td class="num">{took(p99_ms)}</td>
                <td class="num">{percent(fresh_share)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
