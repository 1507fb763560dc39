import type { Micros } from '../../clock.ts'
import type { Feature } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { createRedactor } from '../../observability/redactor.ts'
import { hasFailed, type Run } from '../../refresh/runs.ts'
import type { Run as RunJson, RunState } from '../wire.ts'
import { type Insight, placeOf } from './insight.ts'

/** By their form: the log's own hides the configured ones, too. */
const redact = createRedactor([])

export const RUN_STATES: readonly RunState[] = ['running', 'done', 'failed', 'partly_failed']

export function runStateOf(run: Run): RunState {
  if (run.finishedAt === null) return 'running'
  if (!hasFailed(run)) return 'done'
  return run.keys > run.failed ? 'partly_failed' : 'failed'
}

/** Why a run failed: what was thrown for those who may know it, who could read it in the log; no more than what failed for others. */
export function whyFailed({ error, fault }: Run, tellsText: boolean): string | null {
  const detail = tellsText ? fault?.detail : null
  if (!detail) return error
  const [said] = redact(detail).split('\n', 1)
  return error === null ? (said ?? null) : `${error.replace(/\.$/, '')}: ${said}`
}

/** @param feature Undefined: it is defined no longer. @param tellsText What was thrown may hold data of the user's. */
export function runJson(run: Run, feature: Feature | undefined, insight: Insight, tellsText: boolean): RunJson {
  const state = runStateOf(run)
  const hasFault = state === 'failed' || state === 'partly_failed'
  const place = hasFault ? placeOf(insight.facts, run.fault?.place ?? feature?.location ?? null) : null
  const usual = insight.runs.of(run.feature).usualMs
  return {
    id: run.id,
    feature: run.feature,
    reason: run.reason,
    state,
    started_at: formatTime(run.startedAt),
    finished_at: run.finishedAt === null ? null : formatTime(run.finishedAt),
    duration_ms: run.finishedAt === null ? null : milliseconds(run.finishedAt - run.startedAt),
    keys: run.keys,
    done: run.done,
    changed: run.changed,
    failed: run.failed,
    skipped: run.skipped,
    error: whyFailed(run, tellsText),
    error_code: run.fault?.code ?? null,
    file: place?.file ?? null,
    line: place?.line ?? null,
    next_at: timeJson(feature ? insight.nextDueAt(feature) : null),
    usual_ms: usual === null ? null : Math.round(usual),
  }
}

function timeJson(at: Micros | null): string | null {
  return at === null ? null : formatTime(at)
}

function milliseconds(micros: Micros): number {
  return Math.round(micros / 1000)
}
