import { FabraError } from '../errors.ts'
import type { Config } from './config.ts'

/** Of this machine alone. Other names may lead anywhere, so they do not count. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[?(?:(?:0{1,4}:){7}0{0,3}1|::1|::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3})\]?)$/i.test(
    host,
  )
}

/** Whether anybody in the network may read and write everything. */
export function isOpenToAll({ env, apiKeys, host }: Pick<Config, 'env' | 'apiKeys' | 'host'>): boolean {
  return env !== 'production' && apiKeys.length === 0 && !isLoopback(host)
}

/** @throws FabraError invalid_config */
export function requireKeyring(config: Pick<Config, 'env' | 'apiKeys' | 'host' | 'insecure'>): void {
  if (!isOpenToAll(config) || config.insecure) return
  throw new FabraError('invalid_config', `${config.host} can be reached from other machines, and no API key is asked for.`, {
    hint: 'Make a key (fabra keys create), and set FABRA_API_KEYS as it says; or listen on 127.0.0.1. --insecure lets everybody in who reaches the address.',
  })
}
