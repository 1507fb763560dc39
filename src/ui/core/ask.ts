/** Requests to the API. */
import { API } from './address.ts'
import { isLocked, key } from './session.ts'

const ANSWER_MS = 30_000

/** What an answer that is an error says. */
export class Failure extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string | null
  readonly requestId: string | null

  constructor(facts: { status: number; code: string; message: string; hint?: string | null; requestId?: string | null }) {
    super(facts.message)
    this.status = facts.status
    this.code = facts.code
    this.hint = facts.hint ?? null
    this.requestId = facts.requestId ?? null
  }
}

/** @param init `limitMs`: when to give up; null: never. @throws Failure */
export async function send(path: string, init: RequestInit & { limitMs?: number | null } = {}): Promise<Response> {
  const { limitMs = ANSWER_MS, ...rest } = init
  const headers = new Headers(init.headers)
  if (key.value !== null) headers.set('authorization', `Bearer ${key.value}`)
  const given = init.signal ? [init.signal] : []
  const signal = AbortSignal.any([...given, ...(limitMs === null ? [] : [AbortSignal.timeout(limitMs)])])
  const response = await fetch(API + path, { ...rest, headers, signal, redirect: 'error' }).catch((error: unknown) => {
    throw unheard(error)
  })
  if (response.ok) return response
  const failure = await failureOf(response)
  if (failure.status === 401) isLocked.value = true
  throw failure
}

/** @throws Failure */
export async function ask<T>(path: string, init?: RequestInit & { limitMs?: number | null }): Promise<T> {
  const response = await send(path, init)
  return (await response.json()) as T
}

export function post<T>(path: string, body: unknown, limitMs: number | null = ANSWER_MS): Promise<T> {
  return ask<T>(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' }, limitMs })
}

function unheard(error: unknown): Failure {
  const isLate = error instanceof DOMException && error.name === 'TimeoutError'
  return new Failure({
    status: 0,
    code: isLate ? 'timeout' : 'unreachable',
    message: isLate ? 'The server has not answered in time.' : 'The server cannot be reached.',
    hint: 'Is "fabra serve" running? It is asked again by itself.',
  })
}

interface ErrorBody {
  readonly error?: { readonly code?: string; readonly message?: string; readonly hint?: string; readonly request_id?: string }
}

async function failureOf(response: Response): Promise<Failure> {
  const body = (await response.json().catch(() => ({}))) as ErrorBody
  return new Failure({
    status: response.status,
    code: body.error?.code ?? `http_${response.status}`,
    message: body.error?.message ?? `The server answered ${response.status}.`,
    hint: body.error?.hint ?? null,
    requestId: body.error?.request_id ?? response.headers.get('x-request-id'),
  })
}
