import { Cron } from 'croner'
import type { Micros } from '../clock.ts'

/** Firings of cron patterns, in UTC. Patterns are parsed once. */
export interface Schedule {
  /** First firing strictly after a time; Infinity when there is none. */
  nextFiring(pattern: string, after: Micros): Micros
}

export function createSchedule(): Schedule {
  const parsed = new Map<string, Cron>()
  return {
    nextFiring(pattern, after) {
      let cron = parsed.get(pattern)
      if (!cron) {
        cron = new Cron(pattern, { timezone: 'UTC', paused: true })
        parsed.set(pattern, cron)
      }
      const next = cron.nextRun(new Date(Math.floor(after / 1000)))
      return next === null ? Number.POSITIVE_INFINITY : next.getTime() * 1000
    },
  }
}

/** What is wrong with a cron pattern, in croner's words; undefined when it fires. */
export function cronProblem(pattern: string): string | undefined {
  try {
    return new Cron(pattern, { timezone: 'UTC', paused: true }).nextRun() === null ? 'it never fires' : undefined
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error)
  }
}
