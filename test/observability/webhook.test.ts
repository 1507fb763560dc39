import { afterEach, describe, expect, test } from 'bun:test'
import { createWebhook, type Webhook } from '../../src/observability/webhook.ts'
import { until } from '../support/until.ts'

interface Received {
  readonly body: string
  readonly headers: Headers
}

/** An address that answers as it is told. */
function receiver(answer: (n: number) => Response | Promise<Response>) {
  const received: Received[] = []
  const server = Bun.serve({
    port: 0,
    async fetch(request) {
      received.push({ body: await request.text(), headers: request.headers })
      return answer(received.length)
    },
  })
  closing.push(async () => void (await server.stop(true)))
  return { url: `http://127.0.0.1:${server.port}/hook`, received }
}

let closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing) await close()
  closing = []
})

function open(url: string, secret: string | null = null): { webhook: Webhook; lines: string[] } {
  const lines: string[] = []
  const say = (message: string, fields?: object) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  const log = { debug: say, info: say, warn: say, error: say }
  const webhook = createWebhook({ url, secret, log, random: () => 0, firstPauseMs: 2 })
  closing.unshift(() => webhook.close(0))
  return { webhook, lines }
}

const event = (n: number) => ({ type: 'refresh.failed', feature: `f${n}`, failed: n })

describe('a webhook', () => {
  test('is sent each event once, in order, with a signature over time and body', async () => {
    const { url, received } = receiver(() => new Response())
    const { webhook } = open(url, 'secret')
    for (let n = 0; n < 5; n++) webhook.send(event(n))
    await webhook.close(5_000)
    expect(received.map(({ body }) => JSON.parse(body).feature)).toEqual(['f0', 'f1', 'f2', 'f3', 'f4'])
    for (const { body, headers } of received) {
      const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers.get('x-fabra-signature') ?? '') ?? []
      expect(signature).toBe(new Bun.CryptoHasher('sha256', 'secret').update(`${time}.${body}`).digest('hex'))
      expect(headers.get('x-fabra-delivery')).toBe(JSON.parse(body).id)
    }
  })

  test('is tried again, with the same id, while it fails; not when it refuses', async () => {
    const { url, received } = receiver(
      (n) => new Response(null, { status: [503, 429, 200, 400, 302, 200][n - 1] ?? 200, headers: { location: '/elsewhere' } }),
    )
    const { webhook, lines } = open(url)
    webhook.send(event(1))
    webhook.send(event(2))
    webhook.send(event(3))
    webhook.send(event(4))
    await until('all', 5_000, async () => (received.length >= 6 ? true : undefined))
    await webhook.close(5_000)
    expect(received.map(({ body }) => JSON.parse(body).failed)).toEqual([1, 1, 1, 2, 3, 4])
    expect(new Set(received.slice(0, 3).map(({ headers }) => headers.get('x-fabra-delivery'))).size).toBe(1)
    expect(received[0]?.headers.get('x-fabra-signature')).toBe(null)
    // Where a redirect leads may be a place that only this machine reaches.
    expect(lines).toEqual([expect.stringContaining('the address answered 400'), expect.stringContaining('the address answered 302')])
  })

  test('that hangs or is not there holds nobody up; what waits is bounded, and given up aloud at the end', async () => {
    const { url } = receiver(() => new Promise(() => undefined))
    for (const address of [url, 'http://127.0.0.1:1/']) {
      const { webhook, lines } = open(address)
      const started = performance.now()
      for (let n = 0; n < 1_500; n++) webhook.send(event(n))
      expect(performance.now() - started).toBeLessThan(500)
      await webhook.close(20)
      expect(performance.now() - started).toBeLessThan(3_000)
      expect(lines.length).toBe(1_500)
      expect(lines.filter((line) => line.includes('too many wait')).length).toBe(500)
      webhook.send(event(1))
    }
  })
})
