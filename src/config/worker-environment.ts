/** What user code in worker processes sees of the environment: all but what is the server's own. */
import { isBucketAddress } from './object-store.ts'

type Env = Readonly<Record<string, string | undefined>>

/** Addresses with passwords and keys, by how Fabra's own names end. */
const SECRET = /^FABRA_(?:.+_)?(?:URL|KEY|KEYS|KEYS_FILE|SECRET|TOKEN|PASSWORD)$/
/** Keys of collectors of traces. */
const COLLECTORS = /^OTEL_EXPORTER_OTLP_(?:.+_)?HEADERS$/
/** Platforms set these; in production the server uses them. */
const PLATFORM = ['DATABASE_URL', 'REDIS_URL']
/** The server's own where it archives into a bucket. */
const BUCKET = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']

/** @param env Of the command. Names in its FABRA_WORKER_ENV are given to workers all the same. */
export function workerEnvironment(env: Env): Readonly<Record<string, string>> {
  const given = new Set(names(env['FABRA_WORKER_ENV']))
  const isProduction = env['FABRA_ENV'] === 'production'
  const own = [...(isProduction ? PLATFORM : []), ...(isBucketAddress(env['FABRA_ARCHIVE_DIR'] ?? '') ? BUCKET : [])]
  const isSecret = (name: string) => SECRET.test(name) || COLLECTORS.test(name) || own.includes(name)
  const kept = Object.entries(env).filter(([name, value]) => value !== undefined && (given.has(name) || !isSecret(name)))
  return Object.fromEntries(kept.map(([name, value]) => [name, value ?? '']))
}

/** Names with commas or spaces between. */
function names(list: string | undefined): string[] {
  return (list ?? '').split(/[\s,]+/).filter((name) => name !== '')
}
