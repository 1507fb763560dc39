/**
 * What pages show of the API: asked for once however many parts show it, again every few seconds while somebody looks, and kept: a page that is come
 * back to shows what it had, dimmed, until the new is here.
 */
import { type Signal, signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { ask, Failure } from './ask.ts'
import { setNow } from './now.ts'
import { isClosed } from './session.ts'

const EVERY_MS = 5_000
/** Where the answer says that some of it is yet to come, after the first such answer, the second …: most is there soon, and what is slow takes long. */
const PENDING_MS: readonly number[] = [20, 200, 1_000]
const MOST_KEPT = 60

interface Cell {
  readonly path: string
  readonly value: Signal<unknown>
  readonly failure: Signal<Failure | null>
  /** When the value came, in milliseconds of this browser. */
  readonly at: Signal<number>
  users: number
  timer: ReturnType<typeof setTimeout> | undefined
  asking: Promise<void> | undefined
  everyMs: number | null
  /** Answers in a row that were not whole. */
  partly: number
}

export interface Shown<T> {
  readonly value: T | undefined
  readonly failure: Failure | null
  /** What is shown is not what was asked for last, or could not be asked for again. */
  readonly isOld: boolean
  readonly heardAt: number
  again(): void
}

/** Asking would be a refusal that is known. */
const NOT_SEEN = new Failure({ status: 403, code: 'not_seen', message: 'This key may not see this.' })

const cells = new Map<string, Cell>()

/** @param path Null: nothing is asked. @param everyMs Null: once. */
export function useData<T>(path: string | null, everyMs: number | null = EVERY_MS): Shown<T> {
  const isRefused = path !== null && isClosed(path)
  const cell = path === null || isRefused ? null : cellOf(path)
  const last = useRef<T | undefined>(undefined)
  useEffect(() => {
    if (!cell) return
    cell.users++
    cell.everyMs = everyMs
    askNow(cell)
    return () => {
      cell.users--
      if (cell.users === 0) clearTimeout(cell.timer)
    }
  }, [cell, everyMs])
  const value = cell?.value.value as T | undefined
  if (value !== undefined) last.current = value
  const failure = isRefused ? NOT_SEEN : (cell?.failure.value ?? null)
  return {
    value: value ?? (cell === null ? undefined : last.current),
    failure,
    isOld: value === undefined || (failure !== null && failure.status === 0),
    heardAt: cell?.at.value ?? 0,
    again: () => cell && askNow(cell),
  }
}

/** Something changed: what begins with one of these is asked for again, if somebody looks at it. */
export function refreshData(...beginnings: string[]): void {
  for (const cell of cells.values()) {
    if (cell.users > 0 && beginnings.some((beginning) => cell.path.startsWith(beginning))) askNow(cell)
  }
}

/** What a page will ask for as soon as it is drawn. */
export function askAhead(path: string): void {
  if (!isClosed(path)) askNow(cellOf(path))
}

export function forgetData(): void {
  for (const cell of cells.values()) clearTimeout(cell.timer)
  cells.clear()
}

function cellOf(path: string): Cell {
  const known = cells.get(path)
  if (known) return known
  for (const [other, cell] of cells) {
    if (cells.size < MOST_KEPT) break
    if (cell.users === 0) cells.delete(other)
  }
  const cell: Cell = {
    path,
    value: signal(undefined),
    failure: signal(null),
    at: signal(0),
    users: 0,
    timer: undefined,
    asking: undefined,
    everyMs: null,
    partly: 0,
  }
  cells.set(path, cell)
  return cell
}

function askNow(cell: Cell): void {
  clearTimeout(cell.timer)
  cell.asking ??= hear(cell).finally(() => {
    cell.asking = undefined
    const pauseMs = pauseOf(cell)
    if (cell.users > 0 && pauseMs !== null) cell.timer = setTimeout(() => later(cell), pauseMs)
  })
}

/** Null: it is not asked for again. */
function pauseOf({ failure, everyMs, partly }: Cell): number | null {
  if (failure.value && mayPass(failure.value)) return EVERY_MS
  return partly === 0 ? everyMs : (PENDING_MS[partly - 1] ?? PENDING_MS.at(-1) ?? EVERY_MS)
}

/** Nobody answered, or somebody who may do better in a moment: what is asked for once is asked for until it is heard. */
function mayPass({ status }: Failure): boolean {
  return status === 0 || status === 429 || status >= 500
}

function isPending(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'pending' in value && typeof value.pending === 'number' && value.pending > 0
}

/** Nobody looks at a page in the background. */
function later(cell: Cell): void {
  if (!document.hidden) {
    askNow(cell)
    return
  }
  const seen = () => {
    if (document.hidden) return
    document.removeEventListener('visibilitychange', seen)
    if (cell.users > 0) askNow(cell)
  }
  document.addEventListener('visibilitychange', seen)
}

async function hear(cell: Cell): Promise<void> {
  try {
    const value = await ask<{ now?: unknown } | null>(cell.path)
    if (typeof value?.now === 'string') setNow(value.now)
    cell.value.value = value
    cell.partly = isPending(value) ? cell.partly + 1 : 0
    cell.at.value = Date.now()
    cell.failure.value = null
  } catch (error) {
    cell.failure.value = error instanceof Failure ? error : new Failure({ status: 0, code: 'internal', message: String(error) })
  }
}
