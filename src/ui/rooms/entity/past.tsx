import { Steps } from '../../parts/steps.tsx'
import type { KeyRow } from './rows.ts'

interface PastProps extends Pick<KeyRow, 'of' | 'history'> {
  readonly from: number
  readonly to: number
  readonly at: number | null
}

/** What the value was in the window; where there is none, why: hovering is not the only way to it. */
export function Past({ of, history, from, to, at }: PastProps) {
  if (of.is_recorded === false && history.length === 0 && !of.error)
    return (
      <span class="soft" title="Not every key is recorded: see what is recorded of the feature. Its past can be recomputed: choose a time.">
        not recorded
      </span>
    )
  if (!of.error || history.length > 0) return <Steps of={history} from={from} to={to} at={at} />
  return (
    <span class="soft reach" title={`${of.error.message} ${of.error.hint ?? ''}`}>
      {of.error.message.replace(/^The past of "[^"]*" cannot be told[^:]*: /, '')}
    </span>
  )
}
