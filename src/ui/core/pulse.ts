/** What changes is shown when it changes: runs and states of features make what is on the page ask again at once. */
import { refreshData } from './data.ts'
import { follow } from './stream.ts'

const REST_MS = 400

export function beginPulse(): () => void {
  const due = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const refresh = (...beginnings: string[]) => {
    for (const beginning of beginnings) due.add(beginning)
    timer ??= setTimeout(() => {
      timer = undefined
      refreshData(...due)
      due.clear()
    }, REST_MS)
  }
  const stop = follow('/v1/events?kinds=runs,states', {
    onEvent({ kind }) {
      if (kind === 'run') refresh('/v1/runs')
      if (kind === 'state') refresh('/v1/overview', '/v1/features', '/v1/runs')
      if (kind === 'gap') refresh('/v1/')
    },
  })
  return () => {
    clearTimeout(timer)
    stop()
  }
}
