import type { Registry } from '../definition/model.ts'
import { resolveRefs } from '../definition/refs.ts'
import { FabraError } from '../errors.ts'
import type { TrainingWorkspace } from '../store/ports/training-store.ts'
import { explainTraining } from './explanation.ts'
import type { TrainingDependencies, TrainingJob, TrainingReport } from './job.ts'
import { readRows } from './preparing.ts'
import { Building } from './training-run.ts'

/** Training sets being made at once. Each takes every core it can get. */
const MAX_RUNNING = 2
/** Reports kept for those who ask later. */
const MAX_REPORTS = 100
/** Those of them whose values what is served is compared with: they take megabytes. */
const MAX_SAMPLED = 8
const LONGEST_MS = 24 * 3_600_000

export interface Training {
  /** @throws FabraError overloaded when too many are being made. */
  begin(registry: Registry, dependencies: TrainingDependencies, about: Pick<TrainingReport, 'id' | 'owner'>): Promise<TrainingJob>
  report(id: string): TrainingReport | undefined
  /** Those that are remembered, newest first. */
  list(): readonly TrainingReport[]
  /** Stops one that is being made. @returns false: it is not being made. */
  cancel(id: string): boolean
}

/** @param atOnce Training sets made at the same time. */
export function createTraining(atOnce = MAX_RUNNING): Training {
  const reports = new Map<string, TrainingReport>()
  const cancels = new Map<string, AbortController>()
  let running = 0
  const keep = (report: TrainingReport) => {
    reports.delete(report.id)
    reports.set(report.id, report)
    const oldest = reports.size > MAX_REPORTS ? reports.keys().next().value : undefined
    if (oldest !== undefined) reports.delete(oldest)
    const sampled = [...reports.values()].filter(({ samples }) => samples.length > 0)
    for (const old of sampled.slice(0, -MAX_SAMPLED)) reports.set(old.id, { ...old, samples: [] })
  }
  return {
    report: (id) => reports.get(id),
    list: () => [...reports.values()].sort((a, b) => b.beganAt - a.beganAt),
    cancel(id) {
      if (reports.get(id)?.state !== 'running') return false
      cancels.get(id)?.abort()
      return cancels.has(id)
    },
    async begin(registry, dependencies, about) {
      if (running >= atOnce) {
        throw new FabraError('overloaded', `${atOnce} training sets are being made already.`, {
          hint: 'Try again when one of them is done.',
        })
      }
      const cancel = new AbortController()
      running++
      cancels.set(about.id, cancel)
      let workspace: TrainingWorkspace
      try {
        workspace = await dependencies.store.open()
      } catch (error) {
        running--
        cancels.delete(about.id)
        throw error
      }
      return {
        folder: workspace.folder,
        columnsFor: (features) =>
          resolveRefs(registry, features).flatMap(({ feature }) => [
            ...(registry.entities.get(feature.entity)?.key ?? []).map((column) => column.name),
            ...Object.keys(feature.inputs),
          ]),
        build: (labels, options, signal) =>
          new Building(
            registry,
            dependencies,
            workspace,
            options,
            { signal, timeoutMs: LONGEST_MS },
            { ...about, cancel: cancel.signal },
            keep,
          ).run(labels),
        async explain(labels, options, signal) {
          const run = { signal, timeoutMs: LONGEST_MS }
          const rows = labels === null ? null : (await readRows(registry, dependencies, workspace, { labels, options }, run)).rows
          return { rows, ...(await explainTraining(registry, dependencies, workspace, { options, rows })) }
        },
        async close() {
          running--
          cancels.delete(about.id)
          await workspace.close()
        },
      }
    },
  }
}
