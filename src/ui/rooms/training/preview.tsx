import type { PreviewColumn, TrainingPreview } from '../../../http/wire.ts'
import { number, percent, valueText } from '../../core/words.ts'
import { Bars, Histogram } from '../../parts/charts.tsx'
import { Mark } from '../../parts/mark.tsx'

/** Distribution, share of null, method and warning stand above their column. Bars: in this set. Line: served today. */
export function PreviewTable({ of, isOld }: { of: TrainingPreview; isOld: boolean }) {
  const numeric = of.columns.map((_, i) => of.preview.every(({ values }) => typeof values[i] === 'number' || values[i] === null))
  return (
    <>
      <div class="sec">
        <h2>Preview</h2>
        <span class="small">
          {number(of.preview.length)} rows of {number(of.rows)}, spread over the time of the labels. Bars: in this set. Line: served today.
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and keys must reach it. */}
      <div class="wrap" tabIndex={0} role="region" aria-label="preview">
        <table class={`auto${isOld ? ' old' : ''}`} aria-label="preview of the training set">
          <thead>
            <tr>
              <th scope="col" class="num">
                row
              </th>
              {of.columns.map((column, i) => (
                <Head key={column.name} of={column} isNumber={numeric[i] ?? false} />
              ))}
            </tr>
          </thead>
          <tbody>
            {of.preview.map(({ row, values, states }) => (
              <tr key={row}>
                <td class="num soft">{number(row)}</td>
                {of.columns.map((column, i) => (
                  <td key={column.name} class={numeric[i] ? 'num' : ''} title={JSON.stringify(values[i])}>
                    {states[i] && states[i] !== 'fresh' && <Mark of={states[i]} />}{' '}
                    {states[i] === 'missing' ? <span class="soft">missing</span> : valueText(values[i])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

function Head({ of, isNumber }: { of: PreviewColumn; isNumber: boolean }) {
  const { distribution, served } = of
  return (
    <th scope="col" class={`colhead${isNumber ? ' num' : ''}`}>
      <span class={of.feature ? 'mono' : ''}>{of.name}</span>
      {of.method && (
        <span>
          {of.method}, null {percent(of.null_share)} %
        </span>
      )}
      {distribution?.bins ? (
        <Bars counts={distribution.bins.counts} line={served?.bins?.counts} width={80} height={24} />
      ) : (
        <Histogram of={distribution} width={80} height={24} />
      )}
      {of.warnings.map(({ code, message, hint }) => (
        <span key={code + message} title={`${message} ${hint}`}>
          <Mark of="warn" word="warning" /> {code === 'leak' ? 'leaks the label' : message}
        </span>
      ))}
    </th>
  )
}
