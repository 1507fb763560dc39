/**
 * Whose code keeps a process from answering. Nobody is accused for being there: there must be evidence that the call's own thread burned what the
 * process got of the processors while it was silent, or that it is the one the event loop sits in.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { RunningThread, Slots } from '../process/slots.ts'

export interface Blame {
  /** Remembers how much each thread has burned by now: the silence begins. */
  begin(): void
  /** Id of the call to blame for the silence since then; 0 when nobody knows. @param loopIsSilent Whether the event loop alone does not answer. */
  culprit(loopIsSilent: boolean): number
  /** What the thread has burned so far, in hundredths of a second; null where the system does not tell. */
  burned(thread: RunningThread): number | null
}

/** Less than this may be chance. */
const FEWEST_TICKS = 3
/** Part of what the whole process burned. */
const MOST_OF_IT = 0.6

export function createBlame(pid: number, slots: Slots): Blame {
  const tasks = `/proc/${pid}/task`
  let before = new Map<number, number>()

  function all(): Map<number, number> {
    try {
      return new Map(readdirSync(tasks).map((id) => [Number(id), ticksOf(`${tasks}/${id}/stat`) ?? 0]))
    } catch {
      return new Map()
    }
  }
  const only = (running: readonly RunningThread[]) => {
    const calls = new Set(running.map((thread) => thread.call))
    const [first] = calls
    return calls.size === 1 && first !== undefined ? first : 0
  }

  return {
    begin() {
      before = all()
    },
    culprit(loopIsSilent) {
      const running = slots.running()
      const inLoop = running.find((thread) => thread.isLoop)
      if (loopIsSilent) return inLoop?.call ?? 0
      const now = all()
      // Where the system does not tell, or the process has ended, a call that is alone there is the one.
      if (now.size === 0) return only(running)
      const burned = (id: number) => (now.get(id) ?? 0) - (before.get(id) ?? 0)
      const total = [...now.keys()].reduce((sum, id) => sum + burned(id), 0)
      const most = running.toSorted((a, b) => burned(b.nativeId) - burned(a.nativeId))[0]
      if (most === undefined) return 0
      const ticks = burned(most.nativeId)
      return ticks >= FEWEST_TICKS && ticks >= MOST_OF_IT * total ? most.call : 0
    },
    burned: ({ nativeId }) => ticksOf(`${tasks}/${nativeId}/stat`),
  }
}

/** Time in the program and in the system for it; see proc(5). */
function ticksOf(path: string): number | null {
  try {
    const stat = readFileSync(path, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  } catch {
    return null
  }
}
