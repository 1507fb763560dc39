import { formatDuration } from '../definition/duration.ts'
import type { Feature } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { Plan } from '../serving/plan.ts'
import type { RowResult, ServedFrom, Status } from '../serving/row-result.ts'
import { wholeValue } from '../serving/serving.ts'

/** What nearly every answer says, written once. */
const FRESH_ONLINE = howJson('fresh', 'online')

/** `"value":…,"status":…` and the rest: what every answer about one feature says. */
export function valueFieldsJson(plan: Plan, result: RowResult): string {
  const { statuses, servedFrom } = result
  const source = result.sources[0]
  const status = statuses?.[0]
  const value = wholeValue(plan, result.values, status === 'missing' || status === 'error')
  const eventAt = source?.eventAt ?? null
  const oldest = source?.oldestInputAt ?? null
  const how = statuses && servedFrom ? howJson(statuses[0], servedFrom[0] ?? null) : FRESH_ONLINE
  const time = eventAt === null ? 'null' : `"${formatTime(eventAt)}"`
  const derived = oldest === null ? '' : `,"oldest_input_timestamp":"${formatTime(oldest)}"`
  return `"value":${value},${how},"freshness_ms":${result.freshnessMs[0] ?? null},"event_timestamp":${time}${derived}`
}

function howJson(status: Status | undefined, servedFrom: ServedFrom): string {
  return `"status":"${status}","served_from":${servedFrom === null ? 'null' : `"${servedFrom}"`}`
}

/** How a feature's refresh reads in the catalogue. */
export function refreshText(feature: Feature): string | null {
  if (feature.refresh === null) return null
  if (feature.refresh.kind === 'realtime') return 'realtime'
  return feature.refresh.kind === 'cron' ? feature.refresh.pattern : formatDuration(feature.refresh.every)
}
