import { isOpenToAll } from '../config/bound-address.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../observability/logger.ts'

const SAY_MS = 60_000

/** Says at once and every minute that everybody in the network is let in. @returns ends it. */
export function warnWhileOpen(config: Pick<Config, 'env' | 'apiKeys' | 'host'>, log: Pick<Logger, 'warn'>): () => void {
  if (!isOpenToAll(config)) return () => undefined
  const say = () =>
    log.warn(`everybody who reaches ${config.host} may read and change everything: no API key is asked for (--insecure)`, {
      hint: 'fabra keys create makes a key for FABRA_API_KEYS',
    })
  say()
  const timer = setInterval(say, SAY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
