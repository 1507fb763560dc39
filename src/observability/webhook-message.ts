/**
 * What a webhook's address is sent: an envelope and a signature as Standard Webhooks has them (standardwebhooks.com), or what chats take that
 * understand Slack's incoming webhooks.
 */

export interface WebhookEvent {
  /** `refresh.failed`, … */
  readonly type: string
  /** When it happened, as RFC 3339. */
  readonly at: string
  readonly [field: string]: string | number | boolean | null
}

/** How events are written for one address. */
export interface WebhookForm {
  body(event: WebhookEvent): string
  headers(id: string, body: string): Readonly<Record<string, string>>
}

const SLACK_HOSTS: ReadonlySet<string> = new Set(['hooks.slack.com', 'hooks.slack-gov.com'])
/** Secrets in the form of Standard Webhooks are bytes in base64; any other is its own text. */
const SECRET_PREFIX = 'whsec_'
/** Longer texts of errors are cut: a chat takes some thousand characters. */
const MAX_TEXT = 1_000

/** @param secret Signs each body; null: unsigned. Chats check no signature: their address is the secret. */
export function webhookForm(url: string, secret: string | null): WebhookForm {
  if (takesSlack(new URL(url))) return { body: (event) => JSON.stringify({ text: chatText(event) }), headers: () => ({}) }
  const key = secret === null ? null : secretBytes(secret)
  return {
    body: ({ type, at, ...data }) => JSON.stringify({ type, timestamp: at, data }),
    headers(id, body) {
      const seconds = Math.floor(Date.now() / 1000)
      const headers = { 'webhook-id': id, 'webhook-timestamp': String(seconds) }
      if (key === null) return headers
      const signature = new Bun.CryptoHasher('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
      return { ...headers, 'webhook-signature': `v1,${signature}` }
    },
  }
}

function secretBytes(secret: string): Buffer<ArrayBuffer> {
  return secret.startsWith(SECRET_PREFIX) ? Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64') : Buffer.from(secret)
}

/** Slack itself; Discord and others take its form where the path ends so; `#slack` says it of any other address, and is not sent. */
function takesSlack({ hostname, pathname, hash }: URL): boolean {
  return SLACK_HOSTS.has(hostname) || pathname.endsWith('/slack') || hash === '#slack'
}

function chatText({ type, at, feature, ...data }: WebhookEvent): string {
  const facts = Object.entries(data).map(([name, value]) => `${name}: ${shown(value)}`)
  return [`*${type}* \`${shown(feature)}\` at ${at}`, ...facts].join('\n')
}

/** What Slack would take for a mention or a link is text here. */
function shown(value: string | number | boolean | null | undefined): string {
  const text = String(value ?? '–').slice(0, MAX_TEXT)
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
