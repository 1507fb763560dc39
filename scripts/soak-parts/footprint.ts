import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A replica as it is at the moment: one that was killed comes back as another process. */
export interface Watched {
  readonly name: string
  pid(): number
  url(): string
}

interface Sample {
  readonly minute: number
  readonly rssMiB: number
  /** Of the processes that it started, which are Python's. */
  readonly childrenMiB: number
  readonly heapMiB: number
  /** Without connections of clients, which are as many as are under way: of them, those that the client has closed alone. */
  readonly descriptors: number
  readonly clients: number
}

type Figure = Exclude<keyof Sample, 'minute'>

const EVERY_MS = 5_000
const REPORTED_EVERY_MINUTES = 1
const ASKED_FOR_MS = 2_000
/** What reading `/proc` of a process or thread fails with that has ended. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ESRCH'])
/** Of minutes 8 to 12, which the last five are compared with. */
const SETTLED = [8, 12] as const
const LAST_MINUTES = 5
const GROWTH = 1.05
/** Connections of stores come and go. */
const DESCRIPTORS_MORE = 10

/** What the replicas take of the machine over time: told each minute with its faults, and judged of the first, which no fault kills. */
export class Footprint {
  private readonly samples = new Map<string, Sample[]>()
  private readonly timer: Timer
  private readonly startedAt = performance.now()
  private readonly watched: readonly Watched[]
  private faults: string[] = []
  private reportedMinutes = 0

  constructor(watched: readonly Watched[]) {
    this.watched = watched
    this.timer = setInterval(() => void this.sampleAll(), EVERY_MS)
  }

  note(fault: string): void {
    this.faults.push(fault)
  }

  end(): void {
    clearInterval(this.timer)
  }

  /** @returns what was seen, and what is wrong with it. */
  judge(): { readonly text: string; readonly problem: string | undefined } {
    const [judged] = this.watched
    const samples = this.samples.get(judged?.name ?? '') ?? []
    const last = samples.at(-1)?.minute ?? 0
    const lately = between(samples, last - LAST_MINUTES, last)
    const isJudged = last - LAST_MINUTES >= SETTLED[1]
    const before = isJudged ? between(samples, ...SETTLED) : between(samples, last / 4, last / 2)
    const ratio = median(lately, 'rssMiB') / median(before, 'rssMiB')
    const when = isJudged ? `minutes ${SETTLED.join(' to ')}` : 'the second quarter, too short a time to judge by'
    const descriptors = [lately, before].map((some) => median(some, 'descriptors')) as [number, number]
    const text = `memory ${median(lately, 'rssMiB').toFixed(0)} MiB (× ${ratio.toFixed(3)} of ${when}), descriptors ${descriptors[0]} (${descriptors[1]} then)`
    if (!isJudged) return { text, problem: undefined }
    if (ratio > GROWTH) return { text, problem: `memory grew × ${ratio.toFixed(3)}` }
    const more = descriptors[0] - descriptors[1]
    return { text, problem: more > DESCRIPTORS_MORE ? `${more} more descriptors are open` : undefined }
  }

  private async sampleAll(): Promise<void> {
    await Promise.all(this.watched.map((replica) => this.sample(replica)))
    const minute = (performance.now() - this.startedAt) / 60_000
    if (minute < this.reportedMinutes + REPORTED_EVERY_MINUTES) return
    console.log(`  ${this.watched.map(({ name }) => `${name}: ${this.textOf(name)}`).join('   ')}   ${this.faults.join(', ')}`)
    this.reportedMinutes += REPORTED_EVERY_MINUTES
    this.faults = []
  }

  private textOf(name: string): string {
    const some = between(this.samples.get(name) ?? [], this.reportedMinutes, Number.POSITIVE_INFINITY)
    const [rss, heap, children, descriptors, clients] = (['rssMiB', 'heapMiB', 'childrenMiB', 'descriptors', 'clients'] as const).map(
      (figure) => median(some, figure).toFixed(0).padStart(3),
    )
    return `${rss} MiB (heap ${heap}), Python ${children}, ${descriptors} descriptors (and ${clients} of clients)`
  }

  /** Of a process that is gone there is nothing to tell. */
  private async sample({ name, pid, url }: Watched): Promise<void> {
    const minute = (performance.now() - this.startedAt) / 60_000
    const heapMiB = await heapOf(url())
    try {
      const children = childrenOf(pid()).reduce((sum, child) => sum + rssOf(child), 0)
      const sample = { minute, rssMiB: rssOf(pid()), childrenMiB: children, heapMiB, ...descriptorsOf(pid(), url()) }
      const known = this.samples.get(name)
      if (known) known.push(sample)
      else this.samples.set(name, [sample])
    } catch (error) {
      if (!GONE.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
}

function between(samples: readonly Sample[], from: number, to: number): readonly Sample[] {
  return samples.filter(({ minute }) => minute >= from && minute <= to)
}

function median(samples: readonly Sample[], figure: Figure): number {
  const sorted = samples.map((sample) => sample[figure]).filter((value) => !Number.isNaN(value))
  return sorted.sort((a, b) => a - b)[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
}

/** NaN: it did not say, as one that is killed or busy. */
async function heapOf(url: string): Promise<number> {
  try {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(ASKED_FOR_MS) })
    return Number(/^process_heap_bytes (\d+)/m.exec(await response.text())?.[1]) / 1024 / 1024
  } catch {
    return Number.NaN
  }
}

const ESTABLISHED = '01'

function descriptorsOf(pid: number, url: string): Pick<Sample, 'descriptors' | 'clients'> {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1)
  const connections = rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${port}`) && state === ESTABLISHED)
  const inodes = new Set(connections.map((fields) => `socket:[${fields[9]}]`))
  const all = readdirSync(`/proc/${pid}/fd`)
  const clients = all.filter((fd) => inodes.has(targetOf(`/proc/${pid}/fd/${fd}`))).length
  return { descriptors: all.length - clients, clients }
}

/** Empty for one that was closed since it was listed. */
function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}
