import { readFileSync } from 'node:fs'

/** Looks at how much memory a process holds, while it has something to do. */
export interface MemoryWatch {
  wake(): void
  stop(): void
}

export interface MemoryWatchOptions {
  readonly pid: number
  /** Bytes. */
  readonly limit: number
  isBusy(): boolean
  /** It held more than the limit in two looks. */
  onOver(bytes: number): void
}

const LOOK_MS = 100

export function watchMemory({ pid, limit, isBusy, onOver }: MemoryWatchOptions): MemoryWatch {
  let timer: ReturnType<typeof setInterval> | null = null
  let wasOver = false

  function look(): void {
    const bytes = residentBytes(pid)
    const isOver = bytes > limit
    if (isOver && wasOver) {
      stop()
      onOver(bytes)
    } else if (!isOver && !isBusy()) stop()
    wasOver = isOver
  }
  function stop(): void {
    if (timer !== null) clearInterval(timer)
    timer = null
  }

  return {
    wake() {
      if (timer !== null) return
      timer = setInterval(look, LOOK_MS)
      timer.unref()
    },
    stop,
  }
}

/** @returns 0 for a process that is gone. */
function residentBytes(pid: number): number {
  if (process.platform !== 'linux') return residentByCommand(pid)
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Elsewhere a command tells, in thousands. */
function residentByCommand(pid: number): number {
  const { stdout } = Bun.spawnSync(['ps', '-o', 'rss=', '-p', String(pid)], { stdin: 'ignore', stderr: 'ignore' })
  return 1024 * Number(stdout.toString().trim() || 0)
}

/** `1.3 GiB` */
export function bytesText(bytes: number): string {
  const [size, unit] = bytes >= 2 ** 30 ? [bytes / 2 ** 30, 'GiB'] : [bytes / 2 ** 20, 'MiB']
  return `${Number(size.toFixed(1))} ${unit}`
}
