/** What a process used, as Linux counts it. */
import { readdirSync, readFileSync } from 'node:fs'

/** Processor time of all threads that are there, in microseconds: the ticks of /proc/…/stat, a hundredth of a second, would be too coarse. */
export function processorMicros(pid: number): number {
  const threads = `/proc/${pid}/task`
  return readdirSync(threads).reduce(
    (sum, thread) => sum + Number(readFileSync(`${threads}/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e3,
    0,
  )
}

export function residentKiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
