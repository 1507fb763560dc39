import type { Config } from './config.ts'
import { isBucketAddress } from './object-store.ts'

/**
 * What of the configuration nobody may be told: passwords of stores, the webhook's secret, its address where that has a path (Slack's is a
 * secret), what the collector of traces is shown, and the keys to the archive's bucket.
 */
export function secretsOf({ postgresUrl, redisUrl, sourceUrl, webhook, tracing, archiveDir, objectStore }: Config): readonly string[] {
  const passwords = [postgresUrl, redisUrl, sourceUrl, tracing?.url ?? null].flatMap((url) => (url === null ? [] : passwordsOf(url)))
  const path = webhook === null ? '' : (URL.parse(webhook.url)?.pathname ?? '')
  const shown = Object.values(tracing?.headers ?? {})
  // Words of other projects, where nothing needs them.
  const keys = archiveDir !== null && isBucketAddress(archiveDir) ? Object.values(objectStore.credentials ?? {}) : []
  const held = keys.flatMap((key: string | null) => key ?? [])
  return [...passwords, ...shown, ...held, ...(webhook?.secret == null ? [] : [webhook.secret]), ...(path.length > 1 ? [path] : [])]
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
