/** Load from another core: wrk for peak throughput, and an open loop of our own for latency at a fixed rate. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SERVER_CORE = '0'
const LOAD_CORE = '1'

/** Moves a process with all its threads to the servers' core. */
export function pinServer(pid: number): void {
  Bun.spawnSync(['taskset', '-a', '-c', '-p', SERVER_CORE, String(pid)])
}

export interface Target {
  readonly url: string
  /** Makes it a POST. */
  readonly body?: string
  /** `{any}` in the body, or in the path where there is none, is a number below this, another one in each request. */
  readonly any?: number
}

/** Requests per second with so many connections that wait for nothing. @throws Error without wrk, or when answers are no 200s. */
export function peak(target: Target, seconds: number, connections = 64): number {
  const folder = mkdtempSync(join(tmpdir(), 'fabra-bench-'))
  try {
    const script = join(folder, 'post.lua')
    const body = JSON.stringify(target.body ?? '')
    const any = `math.random(0, ${target.any ?? 1} - 1)`
    const part = (text: string) => `(${text}:gsub("{any}", ${any}))`
    const written = target.body === undefined ? part('wrk.path') : `nil, nil, ${part('wrk.body')}`
    const each = target.any === undefined ? '' : `request = function() return wrk.format(nil, ${written}) end\n`
    const post =
      target.body === undefined ? '' : `wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\nwrk.body = ${body}\n`
    writeFileSync(script, post + each)
    const scripted = post + each === '' ? [] : ['-s', script]
    const run = Bun.spawnSync(['taskset', '-c', LOAD_CORE, 'wrk', '-t1', `-c${connections}`, `-d${seconds}`, ...scripted, target.url])
    const report = run.stdout.toString()
    const rate = /Requests\/sec:\s+([\d.]+)/.exec(report)?.[1]
    if (rate === undefined) throw new Error(`wrk is needed (Debian: apt-get install wrk). ${run.stderr}`)
    if (/Non-2xx/.test(report)) throw new Error(`${target.url} did not answer 200 every time.\n${report}`)
    return Number(rate)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Latencies of requests sent at a fixed rate, whatever becomes of the earlier ones, counted from the moment each was due (no coordinated omission).
 * @returns milliseconds, sorted.
 */
export async function openLoop(target: Target, rate: number, seconds: number): Promise<number[]> {
  const client = Bun.spawn(
    [
      'taskset',
      '-c',
      LOAD_CORE,
      process.execPath,
      join(import.meta.dir, 'open-loop.ts'),
      target.url,
      String(rate),
      String(seconds),
      target.body ?? '',
    ],
    { stdout: 'pipe', stderr: 'inherit' },
  )
  const report = await client.stdout.text()
  if ((await client.exited) !== 0) throw new Error(`The open loop at ${rate}/s did not end.`)
  return JSON.parse(report) as number[]
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** Runs several things in turns, so that what else the machine does falls on all of them alike. @returns the values of each. */
export async function interleaved(runs: number, things: readonly (() => number | Promise<number>)[]): Promise<number[][]> {
  const values: number[][] = things.map(() => [])
  for (let run = 0; run < runs; run++) {
    for (const [i, thing] of things.entries()) values[i]?.push(await thing())
  }
  return values
}
