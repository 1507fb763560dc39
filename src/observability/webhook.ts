/**
 * Tells an address of the user's what went wrong, without ever being in the way: events wait in a bounded queue and are sent one after the
 * other, again with growing pauses while the address does not answer, until their time is over. What is given up is logged.
 */
import { backoff, jittered } from '../collections/backoff.ts'
import type { Logger } from './logger.ts'
import { type WebhookEvent, webhookForm } from './webhook-message.ts'

/** Events that wait; the oldest is given up for a new one. */
const MAX_WAITING = 1_000
const TIMEOUT_MS = 5_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 60_000
/** How long an event is worth sending. */
const LIFE_MS = 15 * 60_000
/** Answers that another attempt may change. */
const RETRIED: ReadonlySet<number> = new Set([408, 425, 429])

export interface Webhook {
  /** Never waits, never throws. @param trace Headers that name the trace it belongs to. */
  send(event: WebhookEvent, trace?: Readonly<Record<string, string>>): void
  /** Sends what waits for at most this long, then gives up the rest. */
  close(graceMs: number): Promise<void>
}

export interface WebhookOptions {
  readonly url: string
  /** Signs each body; null: unsigned. */
  readonly secret: string | null
  readonly log: Logger
  /** 0 ≤ random < 1. */
  readonly random: () => number
  /** Default 500. */
  readonly firstPauseMs?: number
}

interface Delivery {
  readonly id: string
  readonly type: string
  readonly body: string
  readonly deadline: number
  readonly trace: Readonly<Record<string, string>> | undefined
}

export function createWebhook(options: WebhookOptions): Webhook {
  const { url, secret, log, random, firstPauseMs = FIRST_PAUSE_MS } = options
  const form = webhookForm(url, secret)
  const waiting: Delivery[] = []
  const stop = new AbortController()
  let sending: Promise<void> | undefined
  let closed = false

  function send(event: WebhookEvent, trace?: Delivery['trace']): void {
    if (closed) return
    const id = `msg_${crypto.randomUUID()}`
    // The first is on its way.
    if (waiting.length >= MAX_WAITING) giveUp(waiting.splice(1, 1)[0], 'too many wait')
    waiting.push({ id, type: event.type, body: form.body(event), deadline: performance.now() + LIFE_MS, trace })
    sending ??= sendAll().finally(() => {
      sending = undefined
    })
  }

  async function sendAll(): Promise<void> {
    for (let delivery = waiting[0]; delivery; delivery = waiting[0]) {
      const problem = await deliver(delivery)
      waiting.shift()
      if (problem !== undefined) giveUp(delivery, problem)
    }
  }

  /** @returns why it was given up. */
  async function deliver(delivery: Delivery): Promise<string | undefined> {
    for (let attempt = 1; ; attempt++) {
      const answer = await post(delivery)
      if (answer === 'delivered') return undefined
      if (answer.final) return answer.problem
      const pauseMs = jittered(backoff(attempt, { first: firstPauseMs, longest: LONGEST_PAUSE_MS }), random)
      if (stop.signal.aborted || performance.now() + pauseMs > delivery.deadline) return answer.problem
      await pause(pauseMs)
    }
  }

  async function post({ id, body, trace }: Delivery): Promise<'delivered' | { readonly problem: string; readonly final: boolean }> {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...trace, 'content-type': 'application/json', ...form.headers(id, body) },
        body,
        redirect: 'manual',
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      // The body is of no interest, and unread it would hold the connection.
      await response.body?.cancel()
      if (response.ok) return 'delivered'
      const isFinal = response.status < 500 && !RETRIED.has(response.status)
      return { problem: `the address answered ${response.status}`, final: isFinal }
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error), final: stop.signal.aborted }
    }
  }

  function giveUp(delivery: Delivery | undefined, problem: string): void {
    if (delivery) log.warn('a webhook event could not be delivered', { event: delivery.type, delivery: delivery.id, problem })
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      stop.signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  return {
    send,
    async close(graceMs) {
      closed = true
      if (!sending) return
      const timer = setTimeout(() => stop.abort(), graceMs)
      await sending
      clearTimeout(timer)
    },
  }
}
