import { readdirSync, readFileSync } from 'node:fs'

interface Sample {
  readonly minute: number
  readonly rssMiB: number
  readonly descriptors: number
}

const EVERY_MS = 5_000
/** Of minutes 8 to 12, which the last five are compared with. */
const SETTLED = [8, 12] as const
const LAST_MINUTES = 5
const GROWTH = 1.05
/** Connections of clients and stores come and go. */
const DESCRIPTORS_MORE = 10

/** What a process takes of the machine over time. */
export class Footprint {
  private readonly samples: Sample[] = []
  private readonly timer: Timer
  private readonly startedAt = performance.now()

  constructor(pid: number) {
    this.timer = setInterval(() => this.sample(pid), EVERY_MS)
  }

  end(): void {
    clearInterval(this.timer)
  }

  /** @returns what was seen, and what is wrong with it. */
  judge(): { readonly text: string; readonly problem: string | undefined } {
    const last = this.samples.at(-1)?.minute ?? 0
    const lately = this.between(last - LAST_MINUTES, last)
    const settled = this.between(...SETTLED)
    const isJudged = last - LAST_MINUTES >= SETTLED[1]
    const before = isJudged ? settled : this.between(last / 4, last / 2)
    const ratio = lately.rssMiB / before.rssMiB
    const when = isJudged ? `minutes ${SETTLED.join(' to ')}` : 'the second quarter, too short a time to judge by'
    const text = `memory ${lately.rssMiB.toFixed(0)} MiB (× ${ratio.toFixed(3)} of ${when}), descriptors ${lately.descriptors} (${before.descriptors} then)`
    if (!isJudged) return { text, problem: undefined }
    if (ratio > GROWTH) return { text, problem: `memory grew × ${ratio.toFixed(3)}` }
    const more = lately.descriptors - before.descriptors
    return { text, problem: more > DESCRIPTORS_MORE ? `${more} more descriptors are open` : undefined }
  }

  private sample(pid: number): void {
    const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    const minute = (performance.now() - this.startedAt) / 60_000
    this.samples.push({ minute, rssMiB: Number(rss) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length })
  }

  private between(from: number, to: number): { readonly rssMiB: number; readonly descriptors: number } {
    const some = this.samples.filter(({ minute }) => minute >= from && minute <= to)
    const median = (of: (sample: Sample) => number) => some.map(of).sort((a, b) => a - b)[Math.floor(some.length / 2)] ?? Number.NaN
    return { rssMiB: median((sample) => sample.rssMiB), descriptors: median((sample) => sample.descriptors) }
  }
}
