import type { Config } from './config.ts'

/** What of the configuration nobody may be told: passwords of stores, the webhook's secret, and its address where that has a path (Slack's is a secret). */
export function secretsOf({ postgresUrl, redisUrl, sourceUrl, webhook }: Config): readonly string[] {
  const passwords = [postgresUrl, redisUrl, sourceUrl].flatMap((url) => (url === null ? [] : passwordsOf(url)))
  const path = webhook === null ? '' : (URL.parse(webhook.url)?.pathname ?? '')
  return [...passwords, ...(webhook?.secret == null ? [] : [webhook.secret]), ...(path.length > 1 ? [path] : [])]
}

/** Of addresses that only some parsers know, too. */
function passwordsOf(url: string): string[] {
  const [, written] = /^[a-z+]+:\/\/[^/?#:@]*:([^/?#]*)@/i.exec(url) ?? []
  const inQuery = [...url.matchAll(/[?&](?:[a-z_]*password)=([^&#]+)/gi)].flatMap(([, password]) => password ?? [])
  return [written, ...inQuery].flatMap((password) => (password ? [password, decoded(password)] : []))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
