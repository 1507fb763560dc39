import { afterEach, describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
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

const AT = '2026-01-02T03:04:05Z'
const event = (n: number) => ({ type: 'refresh.failed', at: AT, feature: `f${n}`, failed: n, error: 'a < b' })

describe('a webhook', () => {
  test.each([
    ['a text', 'secret', Buffer.from('secret')],
    ['bytes in base64', 'whsec_AAECAwQ=', Buffer.from([0, 1, 2, 3, 4])],
  ])('is sent each event once, in order, signed as Standard Webhooks are with %s', async (_, secret, key) => {
    const { url, received } = receiver(() => new Response())
    const { webhook } = open(url, secret)
    for (let n = 0; n < 5; n++) webhook.send(event(n))
    await webhook.close(60_000)
    expect(received.map(({ body }) => JSON.parse(body))).toEqual(
      [0, 1, 2, 3, 4].map((n) => ({ type: 'refresh.failed', timestamp: AT, data: { feature: `f${n}`, failed: n, error: 'a < b' } })),
    )
    for (const { body, headers } of received) {
      const [id, time] = [headers.get('webhook-id'), headers.get('webhook-timestamp')]
      expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(300)
      expect(headers.get('webhook-signature')).toBe(`v1,${createHmac('sha256', key).update(`${id}.${time}.${body}`).digest('base64')}`)
    }
    expect(new Set(received.map(({ headers }) => headers.get('webhook-id'))).size).toBe(5)
  })

  test('of a chat is sent a message for people, in which nothing is a link or a mention', async () => {
    const { url, received } = receiver(() => new Response())
    for (const address of [`${url}/slack`, `${url}#slack`]) {
      const { webhook } = open(address, 'secret')
      webhook.send(event(1))
      await webhook.close(60_000)
    }
    expect(received.map(({ body }) => JSON.parse(body))).toEqual(
      Array(2).fill({ text: `*refresh.failed* \`f1\` at ${AT}\nfailed: 1\nerror: a &lt; b` }),
    )
    expect(received[0]?.headers.get('webhook-signature')).toBe(null)
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
    await webhook.close(60_000)
    expect(received.map(({ body }) => JSON.parse(body).data.failed)).toEqual([1, 1, 1, 2, 3, 4])
    expect(new Set(received.slice(0, 3).map(({ headers }) => headers.get('webhook-id'))).size).toBe(1)
    expect(received[0]?.headers.get('webhook-signature')).toBe(null)
    // Where a redirect leads may be a place that only this machine reaches.
    expect(lines).toEqual([expect.stringContaining('the address answered 400'), expect.stringContaining('the address answered 302')])
  })

  test('that hangs or is not there holds nobody up; what waits is bounded, and given up aloud at the end', async () => {
    const { url } = receiver(() => new Promise(() => undefined))
    for (const address of [url, 'http://127.0.0.1:1/']) {
      const { webhook, lines } = open(address)
      for (let n = 0; n < 1_500; n++) webhook.send(event(n))
      await webhook.close(20)
      expect(lines.length).toBe(1_500)
      expect(lines.filter((line) => line.includes('too many wait')).length).toBe(500)
      webhook.send(event(1))
    }
  })
})
